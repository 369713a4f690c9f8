"""All JSON that is written is JSON: what is no number is null, and reads as missing."""

from __future__ import annotations

import ast
import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
import torch

from irl_lens.analyses.analyze import analyze
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.learning.pretraining import training_curve
from irl_lens.files.json_files import read_json, write_json
from irl_lens.files.tensors import CheckpointError
from irl_lens.hooks import Scale, VectorController, inspect, load, save
from irl_lens.runs.run import Run
from irl_lens.runs.seed_summary import write_evaluation, write_summary
from irl_lens.runs.stage import Stage

ROOT = Path(__file__).parents[1]
NAN, INFINITE = float("nan"), float("inf")


def strict(text: str) -> Any:
    """Parses JSON as others do, who know no NaN."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def calls_of_dumps(source: str) -> list[ast.Call]:
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [call for call in calls if ast.unparse(call.func) in ("json.dumps", "json.dump")]


def guarded(call: ast.Call) -> bool:
    return "allow_nan=False" in map(ast.unparse, call.keywords)


def test_no_json_is_made_without_the_guard() -> None:
    assert not guarded(calls_of_dumps("json.dumps(1, indent=2)")[0])
    folders = [ROOT / name for name in ("irl_lens", "hooks", "analyses", "benchmarks")]
    paths = [path for folder in folders for path in folder.rglob("*.py")]
    calls = [(path, c) for path in paths for c in calls_of_dumps(path.read_text())]
    assert calls
    assert [str(path) for path, call in calls if not guarded(call)] == []


@dataclass(frozen=True)
class Odd(Result):
    values: tuple[float, ...]
    by_name: dict[str, Any]

    def figure(self) -> go.Figure:
        return go.Figure()

    def to_dataframe(self) -> pd.DataFrame:
        return pd.DataFrame()

    def caption(self) -> str:
        return "Nothing."


def test_results_of_analyses(tmp_path: Path) -> None:
    odd = Odd((NAN, 0.5, -INFINITE), {"deep": [np.float64(NAN), np.float32(INFINITE)]})
    content = strict(odd.save(tmp_path / "odd").read_text())
    assert content["values"] == [None, 0.5, None]
    assert content["by_name"] == {"deep": [None, None]}


def test_logs_and_results_of_stages(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "base")
    stage.log(1, nll=NAN, norm=2.0)
    stage.log(2, nll=0.5, norm=INFINITE)
    stage.finish({}, {"f1": NAN, "prefixes": {"2": {"success": INFINITE}}, "nll": 0.25})
    lines = [strict(line) for line in (stage.folder / "metrics.jsonl").read_text().splitlines()]
    assert lines[0]["nll"] is None and lines[1]["norm"] is None
    made = strict((stage.folder / "result.json").read_text())
    assert made["result"] == {"f1": None, "prefixes": {"2": {"success": None}}, "nll": 0.25}
    rows, result = stage.metrics(), stage.result
    assert math.isnan(rows[0]["nll"]) and rows[1]["nll"] == 0.5 and math.isnan(rows[1]["norm"])
    assert math.isnan(result["f1"]) and math.isnan(result["prefixes"]["2"]["success"])
    assert result["nll"] == 0.25


def test_a_curve_with_a_hole_is_drawn(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "base")
    stage.log(1, nll=NAN)
    stage.log(2, nll=0.5)
    stage.finish({}, {"floor": 0.1})
    curve = training_curve(stage)
    assert math.isnan(curve.nll[0]) and curve.nll[1] == 0.5
    assert strict(str(curve.figure().to_json()))["data"][0]["y"][0] is None


def test_notes_of_an_intervention(tmp_path: Path) -> None:
    part = VectorController(torch.ones(4), "hook_embed")
    card, training = {"nll": NAN, "seeds": [1, INFINITE]}, {"lr": -INFINITE}
    file = save(part, tmp_path, card=card, training=training)
    size = int.from_bytes(file.read_bytes()[:8], "little")
    header = strict(
        strict(file.read_bytes()[8 : 8 + size].decode())["__metadata__"]["intervention"]
    )
    assert header["card"] == {"nll": None, "seeds": [1, None]} and header["training"]["lr"] is None
    assert inspect(file).card["nll"] is None
    assert load(file).state_dict().keys() == {"v"}


@pytest.mark.parametrize("factor", [NAN, INFINITE])
def test_a_part_made_of_no_number_is_not_saved_as_another(tmp_path: Path, factor: float) -> None:
    part = Scale(VectorController(torch.ones(4), "hook_embed"), factor)
    with pytest.raises(ValueError, match=r"a Scale of .* holds a number that is not finite"):
        save(part, tmp_path)
    assert not list(tmp_path.iterdir())


def test_everything_that_a_run_and_its_analyses_write(smoke_run: Run, tmp_path: Path) -> None:
    run = Run.open(shutil.copytree(smoke_run.folder, tmp_path / "run"))
    write_evaluation(run.folder / "evaluation.json", {"one": NAN, "other": 0.5})
    write_summary([run], tmp_path / "summary")
    names = ("control", "logit-lens")
    analyze(smoke_run, names, folder=tmp_path / "analyses")
    paths = [*smoke_run.folder.rglob("*.json*"), *tmp_path.rglob("*.json*")]
    assert len(paths) > 20
    for path in paths:
        for text in (
            path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        ):
            strict(text)
    assert set(strict((tmp_path / "summary" / "summary.json").read_text())) == {"other"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[NaN]",
        b"[Infinity]",
        b'{"a": 1, "a": 2}',
        b"\xff",
        b"[" * 10_000,
        b"9" * 9_999,
        "[1]".encode("utf-16"),
    ],
)
def test_what_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"file\.json is damaged, not JSON: .*; write it"):
        read_json(path, "write it again")


def test_folders_and_missing_files_are_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.json"):
        with pytest.raises(CheckpointError, match=f"there is no file {path}; write it"):
            read_json(path, "write it again")


def test_no_number_is_null(tmp_path: Path) -> None:
    write_json(tmp_path / "file.json", {"a": (NAN, 1), "b": {"c": -INFINITE}})
    assert read_json(tmp_path / "file.json", "") == {"a": [None, 1], "b": {"c": None}}
