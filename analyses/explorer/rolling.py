"""Roll-outs on the page: begun when they are wanted, drawn when they are there."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, State, no_update, set_props

from irl_lens.analyses.explorer import figures, sentences
from irl_lens.analyses.explorer.jobs import Jobs
from irl_lens.analyses.explorer.rollouts import Tick
from irl_lens.analyses.explorer.session import Explorer
from irl_lens.analyses.explorer.sessions import Sessions
from irl_lens.errors import UserError

PATIENCE = 0.35
"""Seconds that a view waits for roll-outs before it shows their progress [s]."""


def register(app: Dash, sessions: Sessions) -> None:
    """Registers the views of roll-outs, their progress and the button that stops them."""
    _effects(app, sessions)
    _steered(app, sessions)
    _progress(app, sessions)


def rolled(session: Explorer, jobs: Jobs, patches: bool, steered: bool) -> bool:
    """Whether roll-outs are there; begins them if not, and waits a moment.

    Raises:
        UserError: They cannot be made.
    """
    if session.ready() and session.ready(patches, steered):
        return True

    def work(tick: Tick) -> None:
        session.rollouts(tick=tick)
        session.rollouts(patches, steered, tick)

    job = jobs.start(work)
    job.wait(PATIENCE)
    if job.finished and job.error and job.error != "stopped":
        raise UserError(job.error)
    return job.finished and not job.error


def _effects(app: Dash, sessions: Sessions) -> None:
    @app.callback(
        Output("effects", "figure"),
        Output("gone", "children"),
        Input("tick", "data"),
        Input("tab", "value"),
        Input("look", "value"),
        Input("finished", "data"),
        State("key", "data"),
    )
    def effects(_: int, tab: str, look: str, __: int, key: str) -> Any:
        if tab != "patch":
            return (no_update,) * 2
        session, jobs = sessions.get(key)
        try:
            done = session.state.side != "edited" or rolled(session, jobs, True, False)
        except UserError as error:
            return figures.effects(session, "arrows", None, None), str(error)
        if session.state.side != "edited":
            said = "Roll-outs are on the clean board; choose the edited one under Steer."
            return figures.effects(session, "arrows", None, None), said
        if not done:
            _poll(True)
            return no_update, "rolling out .."
        both = session.rollouts(), session.rollouts(patches=True)
        said = sentences.gone(figures.scene_of(session), *both)
        return figures.effects(session, look, *both), said


def _steered(app: Dash, sessions: Sessions) -> None:
    @app.callback(
        Output("steered", "figure"),
        Output("firsts", "figure"),
        Output("gone-steer", "children"),
        Input("tick", "data"),
        Input("tab", "value"),
        Input("look-steer", "value"),
        Input("finished", "data"),
        State("key", "data"),
        prevent_initial_call=True,
    )
    def steered(_: int, tab: str, look: str, __: int, key: str) -> Any:
        if tab != "steer":
            return (no_update,) * 3
        session, jobs = sessions.get(key)
        try:
            if not rolled(session, jobs, False, True):
                _poll(True)
                return no_update, no_update, "rolling out .."
        except UserError as error:
            return no_update, no_update, str(error)
        both = session.rollouts(), session.rollouts(steered=True)
        scene = figures.scene_of(session, session.state.side)
        said = sentences.gone(scene, *both)
        return figures.outings(scene, look, *both), figures.first_bars(scene, *both), said


def _progress(app: Dash, sessions: Sessions) -> None:
    @app.callback(
        Output("work", "children"),
        Output("stop", "style"),
        Output("finished", "data"),
        Input("poll", "n_intervals"),
        State("key", "data"),
        State("finished", "data"),
        prevent_initial_call=True,
    )
    def progress(_: int, key: str, finished: int) -> Any:
        session, jobs = sessions.get(key)
        job = jobs.now
        if job is not None and not job.finished:
            most = session.workbench.world.horizon
            return f"rolling out: step {job.step} of at most {most}", {}, no_update
        _poll(False)
        stopped = job is not None and job.error == "stopped"
        said = "Stopped; change something to roll out again." if stopped else ""
        return said, {"display": "none"}, no_update if stopped else finished + 1

    @app.callback(Input("stop", "n_clicks"), State("key", "data"))
    def stop(clicks: int | None, key: str) -> None:
        if clicks:
            sessions.get(key)[1].cancel()


def _poll(on: bool) -> None:
    """Asks the page for its questions about progress, or not; an output would make a cycle."""
    set_props("poll", {"disabled": not on})
