"""Downloads: the state, a figure, its data, patches or steering as an intervention file."""

from __future__ import annotations

from typing import Any

from dash import Dash, Input, Output, State, ctx, dcc, no_update

from irl_lens.analyses.explorer import export
from irl_lens.analyses.explorer.links import kept
from irl_lens.analyses.explorer.session import Explorer
from irl_lens.analyses.explorer.web.callbacks import WRONG, failing
from irl_lens.analyses.explorer.web.sessions import Sessions
from irl_lens.analyses.figures.files import PICTURES
from irl_lens.hooks.files.json_text import to_json


def register(app: Dash, sessions: Sessions) -> None:
    """Registers what the buttons of the export panel do."""
    files = ("html", "png", "svg", "csv", "patch-file", "steer-file", "state")

    @app.callback(
        Output("download", "data"),
        Output("message", "children", allow_duplicate=True),
        *(Input(f"get-{file}", "n_clicks") for file in files),
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
    if kind in PICTURES:
        return dcc.send_bytes(export.image(session, tab, kind), f"{tab}.{kind}")
    if kind == "state":
        return dcc.send_string(to_json(kept(session), indent=1), "state.json")
    if kind == "csv":
        return dcc.send_string(export.data(session, tab).to_csv(index=False), f"{tab}.csv")
    hook = export.patches(session) if kind == "patch-file" else export.steering(session)
    name = "patches" if kind == "patch-file" else "steering"
    return dcc.send_bytes(export.file(session, hook), f"{name}.safetensors")
