"""With ``--json`` standard output is one JSON object, which says where files were written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from irl_lens import cli
from irl_lens.runs.run import Run


@pytest.fixture(scope="module")
def run(smoke_run: Run, tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(shutil.copytree(smoke_run.folder, tmp_path_factory.mktemp("runs") / "run"))


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    cli.main([*map(str, arguments), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert all(Path(path).exists() for path in found.get("written", ()))
    return found


def test_analyses_say_what_they_found_and_where_it_is(
    run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = told(capsys, "analyze", run, "belief", "logit-lens", "--out", tmp_path)
    assert found["written"] == [f"{tmp_path}/belief.html", f"{tmp_path}/logit-lens.html"]
    belief = found["results"]["belief"]
    assert belief["caption"] and {"sentence", "effect", "p"} == belief["claims"][0].keys()
    cli.main(["analyze", run, "belief", "--out", str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"belief: {belief['caption']}", f"{tmp_path}/belief.html"]


def test_measurements_and_tables_over_seeds(
    run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = told(capsys, "evaluate", run, "--out", tmp_path / "numbers.json")
    assert found["written"] == [f"{tmp_path}/numbers.json"]
    kept = json.loads((tmp_path / "numbers.json").read_text())["measured"]
    assert found["measured"] == kept and len(kept) > 30
    told(capsys, "evaluate", run)
    table = told(capsys, "summary", run, "--out", tmp_path / "results")
    assert table == {"written": [f"{tmp_path}/results/summary.json"]}
    bundle = told(capsys, "bundle", run, "--out", tmp_path / "shipped")
    assert bundle == {"written": [f"{tmp_path}/shipped"]}


def test_what_trains_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ("--set", "pretrain.steps=1", "pretrain.batch=8")
    trained = told(capsys, "train", "base", "--preset", "smoke", "--out", tmp_path / "a", *few)
    assert trained == {"written": [f"{tmp_path}/a/base"]}
    out = ("--out", tmp_path / "b")
    swept = told(capsys, "sweep", "base", "--preset", "smoke", *out, "--seeds", "0", "1", *few)
    assert len(swept["written"]) == 2


def test_lists_of_what_there_is(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "analyze", run)["analyses"]["belief"]
    assert told(capsys, "compare")["analyses"]["learning-methods"]


def test_oracles(capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = told(capsys, "conformance")["outcomes"]
    assert len(outcomes) == 10 and {each["verdict"] for each in outcomes} == {"pass"}
