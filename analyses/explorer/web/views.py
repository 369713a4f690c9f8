"""What is drawn when a state has changed, tab by tab; only what is on show is computed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from dash import ALL, Dash, Input, Output, State, html, no_update

from irl_lens.analyses.explorer import (
    figures,
    fork_figures,
    forks,
    reading_figures,
    sentences,
)
from irl_lens.analyses.explorer.export import snippet
from irl_lens.analyses.explorer.links import packed
from irl_lens.analyses.explorer.session import Explorer
from irl_lens.analyses.explorer.state import SIDES
from irl_lens.analyses.explorer.web.callbacks import poll
from irl_lens.analyses.explorer.web.panels import steering_kinds
from irl_lens.analyses.explorer.web.rollout_views import swept
from irl_lens.analyses.explorer.web.sessions import Sessions
from irl_lens.errors import UserError


def register(app: Dash, sessions: Sessions) -> None:
    """Registers all views."""
    _worlds(app, sessions)
    _controls(app, sessions)
    _patch(app, sessions)
    _fork(app, sessions)
    _latent(app, sessions)

    @app.callback(Output("link", "data"), Input("tick", "data"), State("key", "data"))
    def link(_: int, key: str) -> Any:
        """Writes the state into the page's address, once it is not what the page opened with."""
        session, _jobs = sessions.get(key)
        return packed(session) if session.can_undo else no_update

    @app.callback(
        Output("snippet", "children"),
        Input("tick", "data"),
        Input("tab", "data"),
        State("key", "data"),
    )
    def keep(_: int, tab: str, key: str) -> Any:
        """Writes the snippet."""
        return snippet(sessions.get(key)[0]) if tab == "keep" else no_update


def _worlds(app: Dash, sessions: Sessions) -> None:
    @app.callback(
        Output("clean", "figure"),
        Output("edited", "figure"),
        Output("pair", "children"),
        Output("hand", "children"),
        Input("tick", "data"),
        Input("picked", "data"),
        State("key", "data"),
    )
    def worlds(_: int, picked: dict[str, str] | None, key: str) -> Any:
        """Draws both boards, and says what differs and what is in the hand."""
        session, _jobs = sessions.get(key)
        names = [picked["name"] if picked and picked["side"] == side else None for side in SIDES]
        drawn = [figures.world(session, *pair) for pair in zip(SIDES, names, strict=True)]
        hand = (
            f"{picked['name']} is picked up: click where to put it."
            if picked
            else "To edit: click a thing or the agent on a board, then a place."
        )
        return *drawn, sentences.pair(session), hand

    @app.callback(
        Output("readings", "figure"),
        Output("moved", "children"),
        Input("tick", "data"),
        State("key", "data"),
    )
    def readings(_: int, key: str) -> Any:
        """Draws what the model and the filter make of the step."""
        session, _jobs = sessions.get(key)
        return reading_figures.readings(session), sentences.moved(session)


def _controls(app: Dash, sessions: Sessions) -> None:
    """Fields show what the state is, also after undo."""
    names = ("component", "metric", "side", "rows", "seed")

    @app.callback(
        *(Output(name, "value") for name in names),
        Output("why", "value"),
        Output("rather", "value"),
        Output("step", "value"),
        Output("step", "max"),
        Output("at-step", "value"),
        Output("fork-step", "value"),
        Output("rollout-seed", "value"),
        Output("undo", "disabled"),
        Output("at", "children"),
        Output("checkpoint", "value"),
        Output("trained", "children"),
        Input("tick", "data"),
        State("key", "data"),
    )
    def fields(_: int, key: str) -> Any:
        """Shows the state in the fields."""
        session, _jobs = sessions.get(key)
        state = session.state
        asked = [-1 if x is None else x for x in (state.why, state.rather)]
        said = f"step {state.step} of {len(state.walk) - 1}"
        steps = state.step, len(state.walk) - 1, state.step, state.step, state.rollout_seed
        values = *(getattr(state, name) for name in names), *asked, *steps
        kept = (*session.workbench.checkpoints, None)
        trained = kept.index(state.checkpoint), sentences.trained(session)
        return *values, not session.can_undo, said, *trained

    @app.callback(
        Output("kind", "options"),
        Output("lacking", "children"),
        Output("kind", "value"),
        Output("gate", "value"),
        Output("forced", "value"),
        Output("bank", "value"),
        Output("controller", "value"),
        Output("strength", "value"),
        Output({"kind": "z", "index": ALL}, "value"),
        Output("by-controller", "style"),
        Output("by-code", "style"),
        Input("tick", "data"),
        State("key", "data"),
        State({"kind": "z", "index": ALL}, "value"),
    )
    def steering(_: int, key: str, z: list[float]) -> Any:
        """Shows what steers in the fields."""
        session, _jobs = sessions.get(key)
        steering = session.state.steering
        own = steering.kind == "controller"
        bank = (steering.layer, steering.name, steering.strength) if own else (no_update,) * 3
        shown = list(steering.code or z)
        hidden = [{} if steering.kind == k else {"display": "none"} for k in ("controller", "code")]
        kinds = [{"label": said, "value": kind} for kind, said in steering_kinds(session).items()]
        there = kinds, session.workbench.lacking
        return *there, steering.kind, steering.gate, steering.forced, *bank, shown, *hidden


def _patch(app: Dash, sessions: Sessions) -> None:
    @app.callback(
        Output("map", "figure"),
        Output("map", "style"),
        Output("map", "clickData"),
        Output("question", "children"),
        Output("spots", "children"),
        Input("tick", "data"),
        Input("tab", "data"),
        Input("finished", "data"),
        State("key", "data"),
    )
    def heat(_: int, tab: str, __: int, key: str) -> Any:
        """Draws the heat map and lists the patches."""
        if tab != "patch":
            return (no_update,) * 5
        session, jobs = sessions.get(key)
        try:
            if not swept(session, jobs):
                poll(True)
                waits = figures.nothing("Each layer and step is still to be patched.")
                return waits, no_update, None, "", _chips(session)
        except UserError as error:
            return figures.nothing("No map."), no_update, None, str(error), _chips(session)
        figure: Any = figures.heat_map(session, session.sweep())
        style = {"height": f"{figure.layout.height}px"}
        return figure, style, None, sentences.question(session), _chips(session)


def _chips(session: Explorer) -> list[Any]:
    said: list[Any] = [html.Span(sentences.patches(session))]
    return said + [
        html.Button(
            f"{spot} ×",
            id={"kind": "spot", "index": i},
            className="chip",
            title="take this patch out",
        )
        for i, spot in enumerate(session.state.spots)
    ]


def _latent(app: Dash, sessions: Sessions) -> None:
    @app.callback(
        Output("latent", "figure"),
        Output("latent", "clickData"),
        Input("tick", "data"),
        Input("tab", "data"),
        State("key", "data"),
    )
    def latent(_: int, tab: str, key: str) -> Any:
        """Draws the codes of demonstrations."""
        session, _jobs = sessions.get(key)
        workbench, steering = session.workbench, session.state.steering
        if tab != "steer" or workbench.meta is None or steering.kind != "code":
            return no_update, no_update
        axes = workbench.axes
        points = axes.transform(workbench.switch_codes.codes)
        now = None if steering.code is None else axes.transform(np.array([steering.code]))[0]
        return figures.latent(session, points, workbench.switch_codes.labels, now), None


def _fork(app: Dash, sessions: Sessions) -> None:
    @app.callback(
        Output("tree", "figure"),
        Output("tree", "style"),
        Output("branches", "children"),
        Output("parent", "options"),
        Output("compare", "options"),
        Output("compare", "value"),
        Output("replay", "max"),
        Output("replay", "value"),
        Input("tick", "data"),
        Input("tab", "data"),
        State("key", "data"),
        State("compare", "value"),
    )
    def tree(_: int, tab: str, key: str, chosen: list[int]) -> Any:
        """Draws the tree of futures and lists them."""
        if tab != "fork":
            return (no_update,) * 8
        session, _jobs = sessions.get(key)
        figure: Any = fork_figures.tree(session)
        branches = session.state.branches
        listed = [{"label": f"branch {b.number}", "value": b.number} for b in branches]
        known = [b.number for b in branches]
        kept = [n for n in chosen or [] if n in known]
        kept += [n for n in known[-1:] if n not in kept]
        parents = [{"label": "the walk", "value": "walk"}, *listed]
        style = {"height": f"{figure.layout.height}px"}
        # A new branch is shown whole; the slider stays where it is while none comes or goes.
        last = max((len(b.path) for b in branches), default=2) - 1
        replay = last, no_update if kept == chosen else last
        return figure, style, _table(session), parents, listed, kept, *replay

    @app.callback(
        Output("compared", "figure"),
        Output("parted", "children"),
        Input("compare", "value"),
        Input("replay", "value"),
        Input("tick", "data"),
        State("tab", "data"),
        State("key", "data"),
    )
    def compared(numbers: list[int], step: int, _: int, tab: str, key: str) -> Any:
        """Draws the chosen futures on the board."""
        if tab != "fork":
            return no_update, no_update
        session, _jobs = sessions.get(key)
        chosen = [b for b in session.state.branches if b.number in (numbers or [])]
        return fork_figures.compared(session, numbers or [], step), _apart(chosen)


def _apart(chosen: list[Any]) -> str:
    if len(chosen) < 2:
        return "Choose two branches to see where they part; drag the slider to replay."
    at = forks.parted(chosen[0], chosen[1])
    pair = f"Branches {chosen[0].number} and {chosen[1].number}"
    return f"{pair} never part." if at is None else f"{pair} part at step {at}."


def _table(session: Explorer) -> Any:
    found = forks.table(session.workbench, session.state)
    if found.empty:
        return html.P("No branch yet.", className="hint")
    head = html.Tr([html.Th(name) for name in found.columns])
    rows = [
        html.Tr([*(html.Td(str(v)) for v in row), *_buttons(branch.number)])
        for row, branch in zip(found.to_numpy(), session.state.branches, strict=True)
    ]
    return html.Table([html.Thead(head), html.Tbody(rows)])


def _buttons(number: int) -> Iterator[html.Td]:
    """What can be done with a branch, in its row, each with the branch that it is done to."""
    for kind, said in (("open", "Make {} the walk"), ("drop", "Drop {}")):
        name = said.format(f"branch {number}")
        yield html.Td(html.Button(name, id={"kind": kind, "index": number}, className="chip"))
