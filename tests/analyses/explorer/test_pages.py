"""Pages beside the explorer's own: the training log, and the atlas or an offer to make it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from irl_lens.analyses.explorer.web.hosts import Hosts
from irl_lens.analyses.explorer.web.server import application
from irl_lens.analyses.explorer.web.sessions import Sessions, name_of
from irl_lens.files.lock import locked
from irl_lens.runs.run import Run, find_run

JSON: dict[str, Any] = {"json": {}}


@pytest.fixture
def run(kept_run: Run, tmp_path: Path) -> Run:
    """A copy without codes, so that no atlas can be made of it."""
    shutil.copytree(kept_run.folder, tmp_path / "run")
    for stage in ("metacontroller", "codes"):
        shutil.rmtree(tmp_path / "run" / stage)
    return Run.open(tmp_path / "run")


@pytest.fixture
def sessions(run: Run) -> Sessions:
    return Sessions(run)


@pytest.fixture
def client(sessions: Sessions) -> FlaskClient:
    app = application(sessions, Hosts()).server
    app.config["TESTING"] = True
    return app.test_client()


def asked(client: FlaskClient, path: str, post: bool = False) -> tuple[int, str]:
    """Status and text of a page."""
    here = {"base_url": "http://127.0.0.1:8050"}
    with client.post(path, **here, **JSON) if post else client.get(path, **here) as reply:
        return reply.status_code, reply.get_data(as_text=True)


def test_the_training_log_is_shown_and_again_while_somebody_trains(
    client: FlaskClient, run: Run
) -> None:
    status, text = asked(client, "/watch")
    assert status == 200 and "internal-rl" in text and " of " in text and "refresh" not in text
    assert "controllers" in asked(client, f"/watch?run={name_of(run)}")[1]
    with locked(run.folder):
        text = asked(client, "/watch")[1]
    assert 'http-equiv="refresh"' in text and "process" in text
    assert asked(client, "/watch?run=/etc")[0] == 404
    (run.folder / "config.json").write_text("{")
    status, text = asked(client, "/watch")
    assert status == 400 and "config.json" in text


def test_an_atlas_is_offered_and_shown_once_it_is_there(
    client: FlaskClient, run: Run, sessions: Sessions
) -> None:
    status, text = asked(client, "/atlas")
    assert status == 404 and "Make it" in text and "analyses/atlas" in text
    assert asked(client, "/atlas/make")[0] == 405 and not sessions.atlases
    name = name_of(run)
    assert asked(client, f"/atlas/make?run={name}", post=True)[0] == 202
    assert sessions.atlases[name].wait(60)
    status, text = asked(client, "/atlas")
    assert status == 404 and "Make it" in text and "needs the stage codes" in text
    folder = run.folder / "analyses" / "atlas"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text("an atlas")
    status, _ = asked(client, "/atlas")
    assert status == 302
    number = list(sessions.runs()).index(name)
    assert asked(client, f"/atlas/{number}/index.html") == (200, "an atlas")
    assert asked(client, f"/atlas/{number}/../../config.json")[0] == 404
    assert asked(client, "/atlas/99/index.html")[0] == 404
    assert asked(client, "/atlas/make?run=/etc", post=True)[0] == 404


@pytest.mark.slow
def test_the_atlas_of_a_bundled_model_is_made_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sessions = Sessions(find_run("grid"))
    client = application(sessions, Hosts()).server.test_client()
    assert asked(client, "/atlas/make?run=grid", post=True)[0] == 202
    assert "being made" in asked(client, "/atlas")[1]
    assert sessions.atlases["grid"].wait(600) and not sessions.atlases["grid"].error
    assert asked(client, "/atlas")[0] == 302
    assert (tmp_path / "grid-analyses" / "atlas" / "index.html").is_file()
