"""The panel of branches: the tree of futures, and a comparison of two."""

from __future__ import annotations

from typing import Any

from dash import dcc, html

from irl_lens.analyses.explorer.session import Explorer
from irl_lens.analyses.explorer.web.fields import Graph, number, slider


def fork(session: Explorer, graph: Graph) -> list[Any]:
    """The tree of futures."""
    horizon = session.workbench.world.horizon
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
                number("fork-step", session.state.step),
                html.Label("seed", htmlFor="fork-seed"),
                number("fork-seed", session.state.rollout_seed),
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
            ],
            className="row",
        ),
        html.P(id="parted", className="hint"),
        slider("replay", "drawn up to step", 0, horizon, horizon),
        graph("compared", 330, "branches on the board"),
    ]
