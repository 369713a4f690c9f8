"""The panels of futures and of what can be taken away."""

from __future__ import annotations

from typing import Any

from dash import dcc, html

from irl_lens.analyses.explorer import page_parts as parts
from irl_lens.analyses.explorer.session import Explorer


def fork(session: Explorer, graph: parts.Graph) -> list[Any]:
    """The tree of futures."""
    return [
        html.P(
            [html.B("Fork"), " at a step: a future with the present patches and steering."],
            className="call",
        ),
        html.Div(
            [
                html.Label("leave", htmlFor="parent"),
                dcc.Dropdown(
                    [{"label": "the walk", "value": "walk"}],
                    "walk",
                    id="parent",
                    clearable=False,
                    className="pick",
                ),
                html.Label("at step", htmlFor="fork-step"),
                parts.number("fork-step", session.state.step, 0, session.workbench.world.horizon),
                html.Label("noise", htmlFor="fork-noise"),
                parts.number("fork-noise", 0, 0, 2**31 - 1),
                html.Button("Fork", id="fork", className="main"),
            ],
            className="row",
        ),
        graph("tree", 200, "the tree of futures"),
        html.Div(id="branches"),
        html.Div(
            [
                html.Label("compare", htmlFor="compare"),
                dcc.Dropdown([], [], id="compare", multi=True, className="wide"),
                html.Button("Make it the walk", id="open"),
                html.Button("Drop", id="drop"),
            ],
            className="row",
        ),
        html.P(id="parted", className="hint"),
        html.Div(
            dcc.Slider(
                0,
                session.workbench.world.horizon,
                1,
                value=0,
                id="replay",
                marks=None,
            )
        ),
        graph("compared", 330, "branches on the board"),
    ]


def keep() -> list[Any]:
    """What can be taken away."""
    files = {
        "html": "Figure (HTML)",
        "png": "Figure (PNG)",
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
