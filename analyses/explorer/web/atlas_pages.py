"""The atlas of a run, as ``irl-lens analyze RUN atlas`` writes it; an offer where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from flask import Flask, abort, redirect, request, send_from_directory
from markupsafe import Markup

from irl_lens.analyses.analyze import analyze
from irl_lens.analyses.explorer.web.bare_page import bare_page
from irl_lens.analyses.explorer.web.jobs import Job
from irl_lens.analyses.explorer.web.sessions import Sessions, name_of
from irl_lens.runs.run import Run, find_run

OFFER = Markup(
    "<p>There is no atlas of this run yet: of each controller what it reads and writes, and where "
    "agents go with it. It goes into <code>{folder}</code>, as <code>irl-lens analyze {run} "
    "atlas</code> writes it, and takes a minute or more.</p>"
    '<p role="alert">{error}</p><button id="make">Make it</button>'
    '<script>document.getElementById("make").onclick = () => fetch("/atlas/make?run={asked}", '
    '{{method: "POST", headers: {{"Content-Type": "application/json"}}, body: "{{}}"}})'
    ".then(() => location.reload());</script>"
)


def register(server: Flask, sessions: Sessions) -> None:
    """Serves the pages of all runs that can be opened."""

    def listed() -> list[str]:
        """Names of the runs: a page's address has the number of its run."""
        return list(sessions.runs())

    @server.get("/atlas")
    def first() -> Any:
        """Goes to the first page, or offers to make it."""
        name = request.args.get("run", name_of(sessions.first))
        if name not in listed():
            return bare_page("no such run", "It is none of those that the explorer lists."), 404
        run = find_run(name)
        if (atlas_of(run) / "index.html").is_file():
            return redirect(f"/atlas/{listed().index(name)}/index.html")
        job = sessions.atlases.get(name)
        if job is not None and not job.finished:
            return bare_page("The atlas is being made", "It is shown when it is there.", again=True)
        error = job.error if job is not None else ""
        about = {"folder": atlas_of(run), "run": name, "asked": quote(name), "error": error}
        return bare_page(f"atlas of {run.folder.name}", OFFER.format(**about)), 404

    @server.route("/atlas/make", methods=["GET", "POST"])
    def make() -> Any:
        """Begins to make it, unless that is under way."""
        if request.method != "POST":  # else Dash, which takes all that is left, shows its page
            abort(405)
        name = request.args.get("run", "")
        if name not in listed():
            return bare_page("no such run", "It is none of those that the explorer lists."), 404
        run = find_run(name).on(sessions.first.device)

        def work(tick: Any) -> None:
            """Makes it, on a model of its own."""
            analyze(run, ["atlas"], folder=run.beside("analyses"))

        sessions.make_atlas(name, Job("making the atlas", work))
        return "", 202

    @server.get("/atlas/<int:number>/<path:name>")
    def atlas(number: int, name: str) -> Any:
        """A page of an atlas."""
        if number >= len(listed()):
            return bare_page("no such run", "It is none of those that the explorer lists."), 404
        return send_from_directory(atlas_of(find_run(listed()[number])).resolve(), name)


def atlas_of(run: Run) -> Path:
    """The folder of a run's atlas."""
    return run.beside("analyses") / "atlas"
