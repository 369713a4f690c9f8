"""A hint for who is here for the first time; the browser remembers that it was read."""

from __future__ import annotations

from dash import Dash, Input, Output, html

READ = """(clicks) => {
  if (clicks) window.localStorage.setItem("irl-lens-hint", "read");
  return window.localStorage.getItem("irl-lens-hint") === "read";
}"""


def hint() -> html.P:
    """What to try first, and a button that sends it away for good."""
    said = (
        "An agent is about to choose where to go, on a board and on one that was edited. Click a "
        "cell of the map, and it goes elsewhere; under Steer a controller sends it to a place of "
        "your choice; Undo takes anything back. "
    )
    inside = [html.B("First time here? "), said, html.Button("Got it", id="got-it")]
    return html.P(inside, id="hint", role="note", hidden=True)


def register(app: Dash) -> None:
    """Registers the button."""
    app.clientside_callback(READ, Output("hint", "hidden"), Input("got-it", "n_clicks"))
