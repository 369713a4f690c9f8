"""Clicks on the boards: a thing or the agent is picked up and put down elsewhere."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, State, ctx, no_update

from irl_lens.analyses.explorer.session import Explorer
from irl_lens.analyses.explorer.web.callbacks import WRONG, Acts, failing
from irl_lens.analyses.explorer.web.sessions import Sessions
from irl_lens.envs.scenes import AGENT


def thing_at(session: Explorer, side: str, place: int) -> str | None:
    """What can be picked up there: a thing, or the agent."""
    state = session.state
    plain = state.edited if side == "edited" else state.clean
    scene = session.workbench.situation(plain).scene(state.walk[state.step])
    if place == scene.agent:
        return AGENT
    return next((thing.name for thing in scene.things if thing.place == place), None)


def register(app: Dash, acts: Acts, sessions: Sessions) -> None:
    """Registers what clicks on both boards do."""

    @app.callback(
        Output("picked", "data"),
        Output("clean", "clickData"),
        Output("edited", "clickData"),
        Output("tick", "data", allow_duplicate=True),
        Output("message", "children", allow_duplicate=True),
        Input("clean", "clickData"),
        Input("edited", "clickData"),
        State("picked", "data"),
        State("key", "data"),
        prevent_initial_call=True,
    )
    def clicked(clean: Any, edited: Any, picked: dict[str, str] | None, key: str) -> Any:
        """Picks up what lies at the place that was clicked, or puts down what was picked up."""
        side, click = str(ctx.triggered_id), clean if ctx.triggered_id == "clean" else edited
        place = click["points"][0].get("customdata") if click else None
        if not isinstance(place, int):
            return (no_update,) * 5
        session, _ = sessions.get(key)
        if picked is None or picked["side"] != side:
            name = thing_at(session, side, place)
            said = "" if name else "Nothing lies there: click a thing or the agent first."
            return name and {"side": side, "name": name}, None, None, no_update, said
        try:
            before = session.state
            if thing_at(session, side, place) != picked["name"]:
                session.put(picked["name"], place, side)
        except WRONG as error:
            return None, None, None, no_update, failing(error)
        changed = session.state is not before
        return None, None, None, acts.next() if changed else no_update, ""
