"""A run that cannot be opened: the page says why, and leads to the others."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from irl_lens.analyses.explorer.web.hosts import Hosts
from irl_lens.analyses.explorer.web.server import application
from irl_lens.analyses.explorer.web.sessions import Sessions
from irl_lens.runs.run import Run, find_run

DAMAGED = {
    "whole": "",
    "no-config": "config.json",
    "no-base": "base/weights.safetensors",
    "no-result": "base/result.json",
    "no-codes": "codes/weights.safetensors",
}
"""Copies of a run by what of each is cut short."""


@pytest.fixture
def folders(smoke_run: Run, tmp_path: Path) -> Path:
    for name, damaged in DAMAGED.items():
        shutil.copytree(smoke_run.folder, tmp_path / name)
        if damaged:
            path = tmp_path / name / damaged
            path.write_bytes(path.read_bytes()[:100])
    return tmp_path


def parts(component: Any) -> Iterator[dict[str, Any]]:
    """The properties of everything on a page."""
    if isinstance(component, list):
        for part in component:
            yield from parts(part)
    elif isinstance(component, dict) and "props" in component:
        yield component["props"]
        yield from parts(component["props"].get("children"))


def test_a_damaged_run_shows_what_is_wrong_and_where_to_go(folders: Path) -> None:
    client = application(Sessions(find_run(folders / "whole")), Hosts()).server.test_client()
    for name, damaged in DAMAGED.items():
        page = f"http://localhost/?run={quote(str(folders / name))}"
        headers = {"Host": "localhost:80", "Referer": page}
        reply = client.get("/_dash-layout", headers=headers)
        assert reply.status_code == 200, reply.text
        page = list(parts(reply.json))
        shown = {part["id"]: part for part in page if isinstance(part.get("id"), str)}
        named = {option["value"] for option in shown["run"]["options"]}
        assert named >= {str(folders / other) for other in DAMAGED}
        assert shown["run"]["value"] == str(folders / name) and "asked" in shown
        assert ("map" in shown) == (not damaged)
        if damaged:
            assert f"{name} cannot be opened" in [part.get("children") for part in page]
            assert shown["message"]["role"] == "alert"
            assert str(folders / name / damaged) in shown["message"]["children"]
