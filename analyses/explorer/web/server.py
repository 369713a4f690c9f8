"""The page on this machine: one address of the loopback, and nobody else's pages are answered.

Whatever comes with a foreign ``Host`` or ``Origin`` is refused, so that no web page and no
name that resolves to this machine can act in the reader's name. Behind a proxy, or at the end of a
tunnel with another port, browsers ask by another name: those that the user allows are answered
too (:mod:`irl_lens.analyses.explorer.web.hosts`). All scripts come with the page: it needs no
network.
"""

from __future__ import annotations

import atexit
import logging
import webbrowser
from collections.abc import Sequence
from importlib.resources import files
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from dash import Dash
from dash.exceptions import DashException
from flask import (
    Flask,
    Response,
    abort,
    has_request_context,
    jsonify,
    request,
)
from werkzeug.exceptions import HTTPException
from werkzeug.serving import BaseWSGIServer, make_server

from irl_lens.analyses.explorer.web import (
    atlas_pages,
    board_clicks,
    callbacks,
    downloads,
    hint,
    in_browser,
    rollout_views,
    tabs,
    views,
    watch_page,
)
from irl_lens.analyses.explorer.web.hosts import OWN, Hosts, allow
from irl_lens.analyses.explorer.web.open_requests import OpenRequests
from irl_lens.analyses.explorer.web.page import page, refused
from irl_lens.analyses.explorer.web.sessions import MOST, Sessions, name_of
from irl_lens.errors import UserError
from irl_lens.runs.run import Run, find_run

HOST, PORT, LARGEST = "127.0.0.1", 8050, 2**21
"""Address, the port that is tried first, and the largest request [bytes]."""
LAST = 30.0
"""How long a page that closes waits for what it is still doing [s]."""
LAST_PORT = 2**16 - 1


class Server:
    """A page that is served until it is closed.

    Args:
        run: The run that it opens.
        port: Where; another one if it is taken.
        most: Sessions that are kept.
        allowed: Names that are answered beside this machine's own, as ``name`` or ``name:port``.

    Attributes:
        port: Where it is.
        url: What to open.
    """

    def __init__(
        self, run: Run, port: int = PORT, most: int = MOST, allowed: Sequence[str] = ()
    ) -> None:
        if not 0 <= port <= LAST_PORT:
            raise UserError(f"port {port}; take one from 1 to {LAST_PORT}, or 0 for any free one")
        hosts = Hosts(allowed)
        self.sessions = Sessions(run, most)
        self.app = application(self.sessions, hosts)
        self._open_requests = OpenRequests(self.app.server.wsgi_app)
        self.app.server.wsgi_app = self._open_requests  # type: ignore[method-assign]
        self._server = _listening(self.app.server, port)
        self.port = self._server.server_port
        self.url = f"http://{HOST}:{self.port}/"
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def wait(self) -> None:
        """Serves until it is interrupted or closed."""
        while self._thread.is_alive():
            self._thread.join(1)

    def close(self) -> None:
        """Stops serving, and what is under way at its next step."""
        atexit.unregister(self.close)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._open_requests.wait(LAST)
        self.sessions.close(LAST)

    def _repr_html_(self) -> str:
        """A notebook shows the page itself, and where nobody serves it any more, what it was."""
        said = f'The explorer, at <a href="{self.url}">{self.url}</a> until it is closed.'
        size = 'width="100%" height="980" style="border: 0"'
        return f'<p>{said}</p><iframe src="{self.url}" {size} title="irl-lens explorer"></iframe>'


def application(sessions: Sessions, hosts: Hosts) -> Dash:
    """Makes the page, with a session of its own each time that it is opened."""
    app = Dash(
        __name__,
        title="irl-lens explorer",
        update_title="",
        serve_locally=True,
        suppress_callback_exceptions=True,
        index_string=index(),
    )

    def layout() -> Any:
        """The page of a new session, or why there can be none."""
        name = asked_for(sessions)
        try:
            key = sessions.new(name)
            explorer, _ = sessions.get(key)
            return page(explorer, key, sessions.runs(), name)
        except (UserError, OSError) as error:
            return refused(error, sessions.runs(), name)

    app.layout = layout
    acts = callbacks.Acts(app, sessions)
    callbacks.register(acts)
    views.register(app, sessions)
    rollout_views.register(app, acts, sessions)
    board_clicks.register(app, acts, sessions)
    downloads.register(app, sessions)
    in_browser.register(app)
    tabs.register(app)
    hint.register(app)
    guard(app.server, hosts)
    atlas_pages.register(app.server, sessions)
    watch_page.register(app.server, sessions)
    return app


def index() -> str:
    """Returns the HTML around the page, its style sheet and its own script inside it."""
    folder = files("irl_lens.analyses.explorer.web")
    text = (folder / "index.html").read_text("utf-8")
    for name in ("style.css", "keys.js"):
        text = text.replace(f"{{{name}}}", "\n" + (folder / name).read_text("utf-8"))
    return text


def asked_for(sessions: Sessions) -> str:
    """The run that the page's address names, or the first."""
    first = name_of(sessions.first)
    if not has_request_context():
        return first
    asked = parse_qs(urlsplit(request.referrer or "").query).get("run", [first])[0]
    return asked if asked in sessions.runs() else first


def guard(server: Flask, hosts: Hosts) -> None:
    """Refuses strangers, and turns whatever goes wrong into a message."""
    server.config["MAX_CONTENT_LENGTH"] = LARGEST

    @server.before_request
    def own() -> None:
        """Refuses who does not ask this machine by its own name, or comes from another page."""
        port = request.environ.get("SERVER_PORT", "")
        host = request.headers.get("Host", "")
        if not hosts.answer(host, port):
            abort(403, f"the explorer answers on this machine's own address only; {allow(host)}")
        origin = request.headers.get("Origin")
        if origin is not None and not hosts.own_page(origin, port):
            abort(403, f"the explorer answers its own page only; {allow(origin)}")

    @server.before_request
    def well_formed() -> None:
        """Refuses what is no JSON object."""
        if request.method == "POST" and not isinstance(request.get_json(silent=True), dict):
            abort(400, "this is no request of the page: send a JSON object")

    @server.after_request
    def framed(response: Response) -> Response:
        """Lets pages of this machine alone show the page in a frame."""
        local = " ".join(f"http://{name}:*" for name in OWN)
        response.headers["Content-Security-Policy"] = f"frame-ancestors 'self' {local}"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    @server.errorhandler(Exception)
    def wrong(error: Exception) -> tuple[Response, int]:
        """Says what went wrong, with a status that fits."""
        if isinstance(error, HTTPException):
            return jsonify(error=error.description), error.code or 500
        if isinstance(error, UserError):
            return jsonify(error=str(error)), 400
        if isinstance(error, DashException | ValueError | TypeError | KeyError | LookupError):
            return jsonify(error=f"this is no request of the page: {error!r}"), 400
        logging.getLogger(__name__).exception("in a callback")
        return jsonify(error=f"the explorer failed: {type(error).__name__}"), 500


def open_page(
    run: Run | str, port: int | None = None, browser: bool = False, allowed: Sequence[str] = ()
) -> Server:
    """Serves a run; see :func:`irl_lens.analyses.explorer.explore`."""
    opened = run if isinstance(run, Run) else find_run(run)
    server = Server(opened, PORT if port is None else port, allowed=allowed)
    if browser:
        webbrowser.open(server.url)
    return server


def _listening(app: Flask, port: int) -> BaseWSGIServer:
    """A server at a port, or at a free one if it is taken."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    try:
        return make_server(HOST, port, app, threaded=True)
    except (OSError, SystemExit):  # taken; werkzeug exits
        return make_server(HOST, 0, app, threaded=True)
