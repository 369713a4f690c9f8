"""Tabs for mouse, keyboard and screen reader, in the way of the WAI-ARIA Authoring Practices.

One stop of the Tab key for all of them, arrows within (``keys.js``), and a panel that says which
tab it is of. The store ``tab`` has the name of the one on show.
"""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, dcc, html

TABS = {"patch": "Patch", "steer": "Steer", "fork": "Fork", "keep": "Take away"}
"""What tabs are called, by their names."""
SHOW = (
    """(tab) => %s.flatMap((name) => [String(name === tab), name === tab ? 0 : -1, name !== tab])"""
)
CHOOSE = """(...clicks) => {
  if (clicks.some(Boolean)) return dash_clientside.callback_context.triggered_id.slice(4);
  const named = window.location.hash.slice(1).split(".")[0];
  return %s.includes(named) ? named : "patch";
}"""
"""The tab that was clicked or, when the page opens, the one that its link names."""


def tabs(panels: dict[str, list[Any]]) -> html.Div:
    """The tabs, and the panel of each.

    Args:
        panels: Content by name, of all :data:`TABS`.
    """
    heads = [
        html.Button(
            said,
            id=f"tab-{name}",
            role="tab",
            className="tab",
            **_about(controls=f"panel-{name}"),
        )
        for name, said in TABS.items()
    ]
    bodies = [
        html.Div(
            panels[name],
            id=f"panel-{name}",
            role="tabpanel",
            hidden=True,
            **_about(labelledby=f"tab-{name}"),
        )
        for name in TABS
    ]
    row = html.Div(heads, role="tablist", className="tabs", **_about(label="what to do"))
    return html.Div([dcc.Store(id="tab", data="patch"), row, *bodies])


def _about(**values: str) -> dict[str, Any]:
    """Properties of WAI-ARIA, which are no names in Python."""
    return {f"aria-{name}": value for name, value in values.items()}


def register(app: Dash) -> None:
    """Registers what clicks on tabs do."""
    app.clientside_callback(
        CHOOSE % [*TABS],
        Output("tab", "data"),
        *(Input(f"tab-{name}", "n_clicks") for name in TABS),
    )
    shown = [
        output
        for name in TABS
        for output in (
            Output(f"tab-{name}", "aria-selected"),
            Output(f"tab-{name}", "tabIndex"),
            Output(f"panel-{name}", "hidden"),
        )
    ]
    app.clientside_callback(SHOW % [*TABS], *shown, Input("tab", "data"))
