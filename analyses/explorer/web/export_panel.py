"""The panel of what can be taken away: the state as Python, figures, data and interventions."""

from __future__ import annotations

from typing import Any

from dash import dcc, html


def export() -> list[Any]:
    """What can be taken away."""
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
            "The present state as Python; it gives the same again in a notebook, to the bit.",
            className="call",
        ),
        html.Div(
            [
                dcc.Clipboard(
                    id="copy",
                    target_id="snippet",
                    title="copy",
                    className="button",
                    style={"display": "inline-block"},
                ),
                html.Span("Copy"),
                *(html.Button(label, id=f"get-{name}") for name, label in files.items()),
            ],
            className="row",
        ),
        html.Pre(id="snippet", tabIndex=0),
    ]
