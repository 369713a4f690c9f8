"""The panel of what can be taken away: the state as Python, figures, data and interventions."""

from __future__ import annotations

from typing import Any

from dash import dcc, html


def export() -> list[Any]:
    """What can be taken away."""
    about: dict[str, Any] = {"aria-label": "the state as Python"}
    files = {
        "html": "Figure (HTML)",
        "png": "Figure (PNG)",
        "svg": "Figure (SVG)",
        "csv": "Data (CSV)",
        "patch-file": "Patches (intervention file)",
        "steer-file": "Steering (intervention file)",
    }
    return [
        html.P(
            "The state as a link (which is this page's address), as a file that opens again here, "
            "and as Python that gives the same in a notebook, to the bit.",
            className="call",
        ),
        html.Div(
            [
                _copy("copy-link", "Copy link"),
                html.Button("State (file)", id="get-state"),
                dcc.Upload(html.Button("Open a state file"), id="upload", accept=".json"),
                _copy("copy", "Copy Python", target_id="snippet"),
            ],
            className="row",
        ),
        html.P("Of the tab that was on show before:", className="hint"),
        html.Div(
            [html.Button(label, id=f"get-{name}") for name, label in files.items()],
            className="row",
        ),
        html.Pre(id="snippet", tabIndex=0, role="region", **about),
    ]


def _copy(name: str, said: str, **what: Any) -> dcc.Clipboard:
    """A button that copies something to the clipboard."""
    done = html.Button("Copied")
    return dcc.Clipboard(html.Button(said), copied_children=done, id=name, title=said, **what)
