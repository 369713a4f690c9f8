"""How far the training of a run has come, as ``irl-lens watch`` shows it: it only reads."""

from __future__ import annotations

from typing import Any

from flask import Flask, request
from markupsafe import Markup

from irl_lens.analyses.explorer.web.bare_page import bare_page
from irl_lens.analyses.explorer.web.sessions import Sessions, name_of
from irl_lens.errors import UserError
from irl_lens.runs.folder import RunFolder, locate
from irl_lens.runs.standing import standing
from irl_lens.runs.standing_text import lines


def register(server: Flask, sessions: Sessions) -> None:
    """Serves ``/watch``, which is asked for again while somebody trains in the run."""

    @server.get("/watch")
    def watch() -> Any:
        """Stages, steps, time left and curves of the run that is named, or of the first."""
        name = request.args.get("run", name_of(sessions.first))
        if name not in sessions.runs():
            return bare_page("no such run", "It is none of those that the explorer lists."), 404
        try:
            found = standing(RunFolder.open(locate(name)))
        except (UserError, OSError) as error:
            return bare_page("the run cannot be read", str(error)), 400
        text = Markup("<pre>{}</pre>").format("\n".join(lines([found])))
        return bare_page(f"training of {found.folder.name}", text, again=bool(found.process))
