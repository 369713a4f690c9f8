"""What the browser does by itself: playing a walk, going to another run, keeping the state.

The page's address ends on ``#TAB.STATE`` (:mod:`irl_lens.analyses.explorer.links`): it is the link
to the state, and what a page that is loaded again begins with. What follows ``#`` is not sent to
servers with the address, and may be long.
"""

from __future__ import annotations

from dash import MATCH, Dash, Input, Output, State

ON = """(n, back, on, step, max) => {
  const id = dash_clientside.callback_context.triggered[0]?.prop_id ?? "";
  if (id.startsWith("back")) return Math.max(0, step - 1);
  if (id.startsWith("on")) return Math.min(max, step + 1);
  const stride = Math.ceil((max + 1) / 100);  // a long walk is played in strides
  return step >= max ? dash_clientside.no_update : Math.min(max, step + stride);
}"""
PLAY = """(n, disabled) => n
  ? [!disabled, disabled ? "Pause" : "Play"]
  : [true, "Play"]"""
ARRIVE = """(key) => window.location.hash.slice(1).split(".")[1] || null"""
LINK = """(state, tab) => {
  if (state) window.history.replaceState(null, "", "#" + tab + "." + state);
  return window.location.href;
}"""
GO = """(run) => {
  const now = new URLSearchParams(window.location.search).get("run");
  const first = dash_clientside.callback_context.triggered.length === 0;
  // Without the state, which is of the run that is left.
  if (!first && run && run !== now) window.location.assign("?run=" + encodeURIComponent(run));
  return dash_clientside.no_update;
}"""


def register(app: Dash) -> None:
    """Registers all of this."""
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
        Input("tab", "data"),
        State("before", "data"),
    )
    # A page that is opened or loaded again takes the state that its address has.
    app.clientside_callback(ARRIVE, Output("arrived", "data"), Input("key", "data"))
    app.clientside_callback(
        LINK, Output("copy-link", "content"), Input("link", "data"), Input("tab", "data")
    )
    # A slider's number, as it is dragged or set.
    app.clientside_callback(
        "(z) => z.toFixed(2)",
        Output({"kind": "z-said", "index": MATCH}, "children"),
        Input({"kind": "z", "index": MATCH}, "value"),
    )
    app.clientside_callback(
        GO, Output("asked", "data"), Input("run", "value"), prevent_initial_call=True
    )
