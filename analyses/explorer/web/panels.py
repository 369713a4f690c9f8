"""The panels of the page: one function a tab."""

from __future__ import annotations

from typing import Any

from dash import dcc, html

from irl_lens.analyses.explorer import sentences
from irl_lens.analyses.explorer.session import Explorer
from irl_lens.analyses.explorer.state import COMPONENTS, SIDES
from irl_lens.analyses.explorer.web.fields import Graph, choice, number, radio, slider
from irl_lens.analyses.patching.metrics import metrics_of


def episode(session: Explorer) -> list[Any]:
    """Which episode, who walks, and what is asked for."""
    state = session.state
    names = session.workbench.world.subgoal_names
    return [
        html.Div(
            [
                html.Label("episode", htmlFor="seed"),
                number("seed", state.seed),
                html.Button("Draw", id="draw"),
                html.Button("Expert walks", id="expert"),
                html.Button("Model walks", id="model"),
            ],
            className="row",
        ),
        html.Div(
            [
                html.Label(f"task (subgoals {' '.join(names)})", htmlFor="task"),
                dcc.Input(id="task", type="text", value="", debounce=True, className="middle"),
                html.Button("Ask", id="ask"),
            ],
            className="row",
        ),
    ]


def patch(session: Explorer, graph: Graph) -> list[Any]:
    """The heat map, what is in force, and what comes of it."""
    return [
        html.P(
            [
                html.B("Click a cell"),
                " of the map: what the model computed there in the clean world goes into the "
                "edited one.",
            ],
            className="call",
        ),
        _asked(session),
        graph("map", 200, "what each layer and step does; use the fields below without a mouse"),
        html.P(id="question", className="hint"),
        _in_force(),
        _drawn(),
        graph(
            "effects",
            "clamp(262px, 40vh, 480px)",
            "before, after and difference on the edited board",
        ),
        html.Details([html.Summary("Patch without a mouse"), _typed(session)]),
    ]


def _asked(session: Explorer) -> html.Div:
    """What is patched, by what it is measured, and which actions are compared."""
    workbench, state = session.workbench, session.state
    unasked = sentences.not_asked(session)
    moves = [{"label": m, "value": i} for i, m in enumerate(workbench.move_names)]
    most = {"label": "by the edit", "value": -1}
    return html.Div(
        [
            choice("component", list(COMPONENTS), state.component, "patch"),
            choice("metric", list(metrics_of(workbench.actions)), state.metric, "metric"),
            html.Div(
                [
                    choice("why", [most, *moves], -1, "why"),
                    choice("rather", [most, *moves], -1, "rather than"),
                ],
                style={"display": "none" if unasked else "contents"},
            ),
            html.Span(unasked, className="hint"),
        ],
        className="row",
    )


def _in_force() -> html.Div:
    return html.Div(
        [
            html.Span(id="spots", className="row"),
            html.Button("Clear", id="clear"),
            radio("held", "patches act", {"on": "from there on", "once": "that step only"}, "on"),
        ],
        className="row",
    )


def _drawn() -> html.Div:
    looks = {"paths": "paths", "arrows": "actions everywhere", "time": "time spent"}
    return html.Div(
        [
            html.Span(id="gone", role="status", className="said"),
            html.Span(radio("look", "what is drawn", looks, "paths"), className="right"),
        ],
        className="row",
    )


def _typed(session: Explorer) -> html.Div:
    state = session.state
    return html.Div(
        [
            html.Label("layer", htmlFor="at-layer"),
            number("at-layer", state.layer),
            html.Label("head", htmlFor="at-head"),
            number("at-head", 0),
            html.Label("step", htmlFor="at-step"),
            number("at-step", state.step),
            html.Button("Patch", id="patch", className="main"),
        ],
        className="row",
    )


def steering_kinds(session: Explorer) -> dict[str, str]:
    """What can steer in this session, as shown, by its name."""
    workbench = session.workbench
    found = {"nothing": "nothing"}
    found |= {"controller": "a controller of the bank"} if workbench.banks else {}
    return found | ({"code": "a code z"} if workbench.meta is not None else {})


def steer(session: Explorer, graph: Graph) -> list[Any]:
    """What acts, and what comes of it."""
    workbench, state = session.workbench, session.state
    layers = list(workbench.banks)
    names = list(workbench.banks[layers[0]].names) if layers else []
    marks = {i: str(i) for i in range(-4, 5, 2)}
    return [
        html.P(
            [html.B("Choose what acts"), " from the step on that the slider is at."],
            className="call",
        ),
        html.Div(
            [
                radio("kind", "what acts", steering_kinds(session), "nothing"),
                choice("side", list(SIDES), state.side, "board"),
                html.Label("roll-outs", htmlFor="rows"),
                number("rows", state.rows),
                html.Label("seed", htmlFor="rollout-seed"),
                number("rollout-seed", state.rollout_seed),
                html.Span(id="lacking", className="hint"),
            ],
            className="row",
        ),
        html.Div(
            [
                choice("bank", layers, layers[0] if layers else None, "layer"),
                choice("controller", names, names[0] if names else None, "controller"),
                html.Span("strength"),
                html.Div(
                    slider("strength", "strength", -4, 4, 1, step=0.25, marks=marks),
                    className="wide",
                ),
            ],
            id="by-controller",
            className="panel row",
        ),
        html.Div([*_codes(session, graph)], id="by-code", className="panel"),
        html.Div(
            [
                radio(
                    "look-steer", "what is drawn", {"paths": "paths", "time": "time spent"}, "paths"
                ),
                html.Span(id="gone-steer", role="status"),
            ],
            className="row",
        ),
        graph(
            "steered", "clamp(262px, 40vh, 480px)", "before, after and difference with the steering"
        ),
        graph("firsts", 220, "what agents come upon first"),
        html.P(id="shifted", className="hint"),
        graph("shift", 220, "the next action by the base alone and with what steers"),
    ]


def _codes(session: Explorer, graph: Graph) -> list[Any]:
    workbench = session.workbench
    if workbench.meta is None:
        sliders: list[Any] = []
    else:
        top = workbench.spread
        # Dash leaves its own fields out where there is no room for them.
        look: dict[str, Any] = {"step": top / 50, "allow_direct_input": False}
        sliders = [
            html.Div(
                [
                    html.Span(f"z{i}"),
                    slider({"kind": "z", "index": i}, f"z{i}", -top, top, 0, **look),
                    html.Span("0", id={"kind": "z-said", "index": i}, className="number"),
                ],
                className="named",
            )
            for i in range(workbench.meta.decoder.n_z)
        ]
    return [
        html.Div(
            [
                html.Div(
                    [
                        html.P("Click a point to take its code, or drag:", className="hint"),
                        html.Div(sliders, className="sliders"),
                        radio(
                            "gate",
                            "the gate",
                            {"off": "gate off: the code is held", "own": "the gate may open again"},
                            "off",
                        ),
                        html.Div(
                            [
                                html.Label(
                                    "force a switch at step (none if empty)", htmlFor="forced"
                                ),
                                number("forced", None),
                            ],
                            className="row",
                        ),
                    ]
                ),
                graph("latent", 290, "codes of demonstrations; click one to take it"),
            ],
            className="sides",
        )
    ]
