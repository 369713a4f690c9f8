"""Files of finished stages: what is missing, damaged or of elsewhere is said, with what to do."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from irl_lens import cli
from irl_lens.files.tensors import CheckpointError, copy_weights, save_tensors
from irl_lens.runs.copies import write_bundle, write_record
from irl_lens.runs.finished import RESULT, WEIGHTS
from irl_lens.runs.parts import (
    load_base,
    load_controllers,
    load_discovered,
    load_metacontroller,
    load_policy,
)
from irl_lens.runs.run import Run, find_run
from irl_lens.runs.seed_summary import write_summary
from irl_lens.runs.stage import Stage

LOADS: dict[str, Callable[[Run], Any]] = {
    "base": load_base,
    "controllers": load_controllers,
    "metacontroller": load_discovered,
    "codes": load_metacontroller,
    "internal-rl": load_policy,
    "raw-rl": lambda run: run.stage("raw-rl").weights(),
}
RESULTS = Path(__file__).parents[2] / "results" / "grid"


@pytest.fixture
def run(smoke_run: Run, tmp_path: Path) -> Run:
    """A run that may be damaged."""
    return Run.open(shutil.copytree(smoke_run.folder, tmp_path / "run"))


def flip(path: Path, at: int = -1) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", LOADS)
def test_damaged_and_missing_weights_are_refused_with_the_remedy(run: Run, name: str) -> None:
    folder = run.folder / name
    remedy = f"delete the folder {folder} and give the command that made it again"
    LOADS[name](run)
    flip(folder / WEIGHTS)
    with pytest.raises(CheckpointError, match=rf"{WEIGHTS}.* is damaged.*{remedy}"):
        LOADS[name](run)
    (folder / WEIGHTS).unlink()
    with pytest.raises(CheckpointError, match=rf"no file .*{WEIGHTS}; .*{remedy}"):
        LOADS[name](run)


def test_the_remedy_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    command = ["train", "base", "--preset", "smoke", "--out", str(folder)]
    command += ["--set", "pretrain.steps=2", "pretrain.batch=4"]
    cli.main(command)
    weights = (folder / "base" / WEIGHTS).read_bytes()
    for damage in (flip, Path.unlink):
        damage(folder / "base" / WEIGHTS)
        with pytest.raises(SystemExit) as left:
            cli.main(command)
        assert left.value.code == 2
        said = capsys.readouterr().err
        named = re.search(r"delete the folder (.*) and give the command that made it", said)
        assert named is not None
        shutil.rmtree(named[1])
        cli.main(command)
        assert (folder / "base" / WEIGHTS).read_bytes() == weights
        load_base(Run.open(folder))


def test_a_checkpoint_can_be_deleted_as_it_says(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "base")
    stage.save_state(3, {"w": torch.ones(4)})
    flip(tmp_path / "base" / "state.safetensors")
    with pytest.raises(CheckpointError, match="delete it to start the stage 'base' afresh"):
        stage.load_state()
    (tmp_path / "base" / "state.safetensors").unlink()
    assert stage.load_state() is None


def test_a_stage_that_begins_afresh_begins_all_its_parts_afresh(tmp_path: Path) -> None:
    whole = Stage(tmp_path / "internal-rl")
    whole.save_state(3, {})
    whole.part("prefix-2").finish({"w": torch.ones(1)}, {})
    whole.part("prefix-3").save_state(1, {})
    assert whole.load_state() is not None and whole.part("prefix-2").done
    (whole.folder / "state.safetensors").unlink()
    assert whole.load_state() is None
    assert not whole.part("prefix-2").begun and not whole.part("prefix-3").begun


def test_stages_and_parts_are_not_taken_for_one_another(run: Run) -> None:
    base, raw = run.folder / "base", run.folder / "raw-rl"
    for mine, theirs in ((base, raw), (raw, base)):
        assert Stage(mine).weights().keys() == Stage(theirs).weights().keys()
    (base / RESULT).write_bytes((raw / RESULT).read_bytes())
    (base / WEIGHTS).write_bytes((raw / WEIGHTS).read_bytes())
    with pytest.raises(CheckpointError, match="is of the stage 'raw-rl'"):
        load_base(run)


def test_a_part_of_another_run_is_refused(tmp_path: Path) -> None:
    wholes = [Stage(tmp_path / name / "internal-rl") for name in "ab"]
    for number, whole in enumerate(wholes):
        whole.part("prefix-2").finish({"w": torch.full((2,), float(number))}, {"success": number})
        whole.finish({}, {})
    mine, theirs = (whole.part("prefix-2") for whole in wholes)
    assert mine.result == {"success": 0}
    shutil.copytree(theirs.folder, mine.folder, dirs_exist_ok=True)
    for reading in (lambda: mine.result, mine.weights, mine.metrics):
        with pytest.raises(CheckpointError, match=rf"delete the folder {wholes[0].folder} and"):
            reading()
    shutil.rmtree(mine.folder)
    with pytest.raises(CheckpointError, match="no file"):
        mine.metrics()
    with pytest.raises(CheckpointError, match=r"has no prefix-7/result\.json; it has prefix-2"):
        wholes[0].part("prefix-7").weights()


def test_snapshots_are_checked(run: Run) -> None:
    folder = run.stage("base").folder / "snapshots"
    first, second = run.stage("base").snapshots[:2]
    content = (folder / f"{first}.safetensors").read_bytes()
    flip(folder / f"{first}.safetensors")
    with pytest.raises(CheckpointError, match=r"damaged.*delete it to do without this snapshot"):
        run.snapshot(first)
    (folder / f"{second}.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match="snapshot of another moment"):
        run.snapshot(second)
    (folder / f"{first}.safetensors").unlink()
    assert first not in run.stage("base").snapshots


def test_a_record_says_that_it_has_no_weights(run: Run, tmp_path: Path) -> None:
    record = Run.open(write_record(run, tmp_path / "record"))
    for way in LOADS.values():
        with pytest.raises(CheckpointError, match="is a record, without weights; use the"):
            way(record)
    other = Run.create(tmp_path / "other", run.preset, seed=5)
    bundle = partial(write_bundle, record, tmp_path / "b", {})
    for copying in (lambda: other.take_base(record), bundle):
        with pytest.raises(CheckpointError, match="is a record, without weights"):
            copying()
    assert not other.stage("base").begun and not (tmp_path / "b").exists()
    again = write_record(record, tmp_path / "again")
    for path in record.folder.rglob("*.json*"):
        assert (again / path.relative_to(record.folder)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("file", [WEIGHTS, RESULT, "metrics.jsonl"])
def test_nothing_is_copied_of_a_damaged_run(run: Run, tmp_path: Path, file: str) -> None:
    flip(run.folder / "raw-rl" / file, at=20)
    for copying in (partial(write_bundle, raw={}), write_record):
        with pytest.raises(CheckpointError, match=file):
            copying(run, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_the_published_tables_are_those_of_the_records(tmp_path: Path) -> None:
    runs = [find_run(folder) for folder in sorted((RESULTS / "runs").iterdir())]
    write_summary(runs, tmp_path)
    for name in ("summary.json", "summary.md", "runs.json"):
        assert (tmp_path / name).read_text() == (RESULTS / name).read_text()


def test_a_log_with_a_damaged_line_is_refused(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "base")
    for step in (1, 2, 3):
        stage.log(step, nll=0.5)
    log = stage.folder / "metrics.jsonl"
    log.write_text(log.read_text().replace('"step": 2', '"stop": 2'))
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl is damaged.*delete it"):
        stage.load_state()
    log.unlink()
    assert stage.load_state() is None and stage.metrics() == []


@pytest.mark.parametrize("file", ["config.json", "base/result.json"])
def test_files_of_earlier_versions_are_named_as_such(run: Run, file: str) -> None:
    content = json.loads((run.folder / file).read_text())
    del content["seal"], content["format"]
    (run.folder / file).write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=rf"{file} has no seal: .*earlier version"):
        Run.open(run.folder).stage("base").weights()


OWN = {"a": torch.zeros(2, 3), "b": torch.zeros(3)}
MADE = {"a": torch.ones(2, 3), "b": torch.ones(3)}


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"a": MADE["a"]}, "'b' is missing from FILE"),
        ({**MADE, "c": torch.ones(1)}, "'c' is missing from this model"),
        ({**MADE, "b": torch.ones(1)}, r"'b' has shape \(1,\) in FILE, \(3,\) in this"),
        ({**MADE, "b": torch.ones(3).double()}, r"'b' is torch\.float64 in FILE"),
        ({**MADE, "b": torch.ones(3).int()}, r"'b' is torch\.int32 in FILE"),
    ],
)
def test_weights_that_do_not_fit_are_refused_whole(weights: dict[str, Tensor], said: str) -> None:
    own = {name: tensor.clone() for name, tensor in OWN.items()}
    with pytest.raises(CheckpointError, match=said):
        copy_weights(own, weights, "FILE")
    assert all(torch.equal(own[name], OWN[name]) for name in own)
    copy_weights(own, {**MADE, "b": MADE["b"].bfloat16()}, "FILE")
    assert all(torch.equal(own[name], MADE[name]) for name in own)


def test_equal_tensors_are_equal_files(tmp_path: Path) -> None:
    meta = {"step": "3", "seconds": "1.5", "stage": "base"}
    for number in range(20):  # safetensors would write several entries in any order
        save_tensors(tmp_path / str(number), MADE, meta)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
