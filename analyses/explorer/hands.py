"""Picking things up on a board, playing a walk, downloads, and going to another run."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, State, ctx, dcc, no_update

from irl_lens.analyses.explorer import export
from irl_lens.analyses.explorer.callbacks import WRONG, Acts, failing
from irl_lens.analyses.explorer.session import Explorer
from irl_lens.analyses.explorer.sessions import Sessions
from irl_lens.envs.scenes import AGENT

ON = """(n, back, on, step, max) => {
  const id = dash_clientside.callback_context.triggered[0]?.prop_id ?? "";
  if (id.startsWith("back")) return Math.max(0, step - 1);
  if (id.startsWith("on")) return Math.min(max, step + 1);
  return step >= max ? dash_clientside.no_update : step + 1;
}"""
PLAY = """(n, disabled) => n
  ? [!disabled, disabled ? "Pause" : "Play"]
  : [true, "Play"]"""
GO = """(run) => {
  const now = new URLSearchParams(window.location.search).get("run");
  const first = dash_clientside.callback_context.triggered.length === 0;
  if (!first && run && run !== now) window.location.search = "?run=" + encodeURIComponent(run);
  return dash_clientside.no_update;
}"""


def register(app: Dash, acts: Acts, sessions: Sessions) -> None:
    """Registers all of these."""
    _boards(app, acts, sessions)
    _downloads(app, sessions)
    buttons = [Input("playing", "n_intervals"), Input("back", "n_clicks"), Input("on", "n_clicks")]
    app.clientside_callback(
        ON,
        Output("step", "value", allow_duplicate=True),
        *buttons,
        State("step", "value"),
        State("step", "max"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        PLAY,
        Output("playing", "disabled"),
        Output("play", "children"),
        Input("play", "n_clicks"),
        State("playing", "disabled"),
    )
    # Downloads are of the tab that was on show before this one.
    app.clientside_callback(
        """(tab, before) => tab === "keep" ? before : tab""",
        Output("before", "data"),
        Input("tab", "value"),
        State("before", "data"),
    )
    app.clientside_callback(
        GO, Output("asked", "data"), Input("run", "value"), prevent_initial_call=True
    )


def thing_at(session: Explorer, side: str, place: int) -> str | None:
    """What can be picked up there: a thing, or the agent."""
    state = session.state
    plain = state.edited if side == "edited" else state.clean
    scene = session.workbench.situation(plain).scene(state.walk[state.step])
    if place == scene.agent:
        return AGENT
    return next((thing.name for thing in scene.things if thing.place == place), None)


def _boards(app: Dash, acts: Acts, sessions: Sessions) -> None:
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


def _downloads(app: Dash, sessions: Sessions) -> None:
    kinds = ("html", "png", "csv", "patch-file", "steer-file")

    @app.callback(
        Output("download", "data"),
        Output("message", "children", allow_duplicate=True),
        *(Input(f"get-{kind}", "n_clicks") for kind in kinds),
        State("key", "data"),
        State("before", "data"),
        prevent_initial_call=True,
    )
    def download(*values: Any) -> Any:
        """Makes the file whose button was pressed, of the tab that was on show before."""
        clicks, (key, tab) = values[:-2], values[-2:]
        if not any(clicks):
            return no_update, no_update
        kind = str(ctx.triggered_id).removeprefix("get-")
        try:
            return _made(sessions.get(key)[0], kind, tab or "patch"), ""
        except WRONG as error:
            return no_update, failing(error)


def _made(session: Explorer, kind: str, tab: str) -> Any:
    if kind == "html":
        return dcc.send_string(export.html(session, tab), f"{tab}.html")
    if kind == "png":
        return dcc.send_bytes(export.png(session, tab), f"{tab}.png")
    if kind == "csv":
        return dcc.send_string(export.data(session, tab).to_csv(index=False), f"{tab}.csv")
    hook = export.patches(session) if kind == "patch-file" else export.steering(session)
    name = "patches" if kind == "patch-file" else "steering"
    return dcc.send_bytes(export.file(session, hook), f"{name}.safetensors")
