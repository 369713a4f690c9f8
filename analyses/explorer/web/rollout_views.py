"""Long work on the page: begun when it is wanted, drawn when it is there."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, State, no_update

from irl_lens.analyses.explorer import figures, patching, reading_figures, sentences
from irl_lens.analyses.explorer.patching import Tick
from irl_lens.analyses.explorer.session import Explorer
from irl_lens.analyses.explorer.web.callbacks import Acts, poll
from irl_lens.analyses.explorer.web.jobs import Job, Jobs
from irl_lens.analyses.explorer.web.sessions import Sessions
from irl_lens.errors import UserError

WAITS, NONE = "Roll-outs are still to be played.", "No roll-outs."


def register(app: Dash, acts: Acts, sessions: Sessions) -> None:
    """Registers the views of roll-outs, progress and the button that stops what is under way."""
    _effects(app, sessions)
    _steered(app, sessions)
    _progress(app, acts, sessions)


def swept(session: Explorer, jobs: Jobs) -> bool:
    """Whether the heat map is there; begins it if not, and waits a moment.

    Raises:
        UserError: It cannot be made.
    """
    if session.swept:
        return True
    most = len(patching.sites(session.workbench, session.state))
    job = Job("patching each layer and step", lambda tick: session.sweep(tick), most, session.state)
    return jobs.done(job)


def rolled(session: Explorer, jobs: Jobs, patches: bool, steered: bool) -> bool:
    """Whether roll-outs are there; begins them if not, and waits a moment.

    Raises:
        UserError: They cannot be made.
    """
    if session.ready() and session.ready(patches, steered):
        return True

    def work(tick: Tick) -> None:
        """Rolls out without and with what acts."""
        session.rollouts(tick=tick)
        session.rollouts(patches, steered, tick)

    horizon, about = session.workbench.world.horizon, (session.state, patches, steered)
    return jobs.done(Job("rolling out", work, horizon, about))


def _effects(app: Dash, sessions: Sessions) -> None:
    @app.callback(
        Output("effects", "figure"),
        Output("gone", "children"),
        Input("tick", "data"),
        Input("tab", "data"),
        Input("look", "value"),
        Input("finished", "data"),
        State("key", "data"),
    )
    def effects(_: int, tab: str, look: str, __: int, key: str) -> Any:
        """Draws what the patches do, or says that roll-outs are under way."""
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
            poll(True)
            return figures.nothing(WAITS), ""
        both = session.rollouts(), session.rollouts(patches=True)
        said = sentences.gone(figures.scene_of(session), *both)
        if look == "arrows":
            said = f"{said} {sentences.no_arrows(session)}".strip()
        return figures.effects(session, look, *both), said


def _steered(app: Dash, sessions: Sessions) -> None:
    @app.callback(
        Output("steered", "figure"),
        Output("firsts", "figure"),
        Output("gone-steer", "children"),
        Output("shift", "figure"),
        Output("shifted", "children"),
        Input("tick", "data"),
        Input("tab", "data"),
        Input("look-steer", "value"),
        Input("finished", "data"),
        State("key", "data"),
        prevent_initial_call=True,
    )
    def steered(_: int, tab: str, look: str, __: int, key: str) -> Any:
        """Draws what steering does, or says that roll-outs are under way."""
        if tab != "steer":
            return (no_update,) * 5
        session, jobs = sessions.get(key)
        shift = reading_figures.shift(session), sentences.steered(session)
        try:
            if not rolled(session, jobs, False, True):
                poll(True)
                return figures.nothing(WAITS), figures.nothing(WAITS), "", *shift
        except UserError as error:
            return figures.nothing(NONE), figures.nothing(NONE), str(error), *shift
        both = session.rollouts(), session.rollouts(steered=True)
        scene = figures.scene_of(session, session.state.side)
        said = sentences.gone(scene, *both)
        exact = not session.workbench.walkable
        drawn = figures.outings(scene, look, *both, exact), figures.first_bars(scene, *both)
        return *drawn, said, *shift


def _progress(app: Dash, acts: Acts, sessions: Sessions) -> None:
    @app.callback(
        Output("work", "children"),
        Output("stop", "style"),
        Output("finished", "data"),
        Output("tick", "data", allow_duplicate=True),
        Input("poll", "n_intervals"),
        State("key", "data"),
        State("finished", "data"),
        prevent_initial_call=True,
    )
    def progress(_: int, key: str, finished: int) -> Any:
        """Says how far work is, and has what came to its end drawn."""
        jobs = sessions.get(key)[1]
        running = jobs.running()
        jobs.collect()
        drawn = jobs.count if jobs.count != finished else no_update
        tick = acts.next() if jobs.changed > finished else no_update
        if running:
            return "; ".join(map(str, running)), {}, drawn, tick
        poll(False)
        said = "Stopped; change something to go on." if jobs.said == "stopped" else jobs.said
        return said, {"display": "none"}, drawn, tick

    @app.callback(Input("stop", "n_clicks"), State("key", "data"))
    def stop(clicks: int | None, key: str) -> None:
        """Stops what is under way."""
        if clicks:
            sessions.get(key)[1].cancel()
