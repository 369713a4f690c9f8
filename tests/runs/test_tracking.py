"""What dashboards are told is what the log says, also after a stage went on from a checkpoint."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import irl_lens
from irl_lens.config.presets import preset
from irl_lens.errors import UserError
from irl_lens.runs.run import Run

# Both libraries warn of others that they bring along.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
FEW = ("pretrain.steps=20", "pretrain.batch=8", "pretrain.chunk=8")


def events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows of a stage, by the figure's name."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.backend.event_processing.plugin_event_accumulator import (
        EventAccumulator as Shown,
    )

    read, shown = EventAccumulator(str(folder)).Reload(), Shown(str(folder)).Reload()
    found = {n: [(e.step, e.value) for e in read.Scalars(n)] for n in read.Tags()["scalars"]}
    steps = {n: [e.step for e in shown.Tensors(n)] for n in shown.Tags()["tensors"]}
    assert steps == {name: [step for step, _ in points] for name, points in found.items()}
    return found


def logged(run: Run, stage: str) -> dict[str, list[tuple[int, float]]]:
    """What the log says of a stage, to the precision of event files."""
    found: dict[str, list[tuple[int, float]]] = {}
    for row in run.stage(stage).metrics():
        for name in row.keys() - {"step"}:
            found.setdefault(name, []).append((row["step"], float(torch.tensor(row[name]))))
    return found


def test_event_files_say_what_the_log_says(tmp_path: Path) -> None:
    run = irl_lens.train("base", "smoke", out=tmp_path, settings=FEW, track=["tensorboard"])
    assert events(tmp_path / "base") == logged(run, "base")
    assert list(logged(run, "base")["nll"])[-1][0] == 20
    assert run.stage("base").files().keys() == {
        "metrics.jsonl",
        "weights.safetensors",
        "result.json",
    }


def test_a_stage_that_goes_on_replaces_what_came_after_its_checkpoint(tmp_path: Path) -> None:
    run = Run.create(tmp_path, preset("smoke"), 0)
    stage = run.stage("raw-rl")
    for first, last, checkpoint in ((1, 5, 3), (4, 6, None)):
        with run.tracked(["tensorboard"]):
            assert (stage.load_state() or (0,))[0] == first - 1
            for step in range(first, last + 1):
                stage.log(step, success=step / 8, seen=float(first))
                if step == checkpoint:
                    stage.save_state(step, {"x": torch.zeros(1)})
    assert events(stage.folder) == logged(run, "raw-rl")
    assert [seen for _, seen in events(stage.folder)["seen"]] == [1, 1, 1, 4, 4, 4]


def test_parts_of_a_stage_are_told_of_too(tmp_path: Path) -> None:
    run = Run.create(tmp_path, preset("smoke"), 0)
    with run.tracked(["tensorboard"]):
        part = run.stage("internal-rl").part("prefix-2")
        part.load_state()
        part.log(1, success=0.5)
    assert events(part.folder)["success"] == [(1, 0.5)]
    part.log(2, success=1.0)
    assert events(part.folder)["success"] == [(1, 0.5)]


def offline(folder: Path) -> list[dict[str, Any]]:
    """The history that Weights & Biases keeps until it is synchronised."""
    from wandb.proto import wandb_internal_pb2

    (path,) = (folder / "wandb").glob("offline-run-*/*.wandb")
    rows = []
    for data in records(path.read_bytes()):
        record = wandb_internal_pb2.Record()  # type: ignore[attr-defined]
        record.ParseFromString(data)
        if items := record.history.item:
            rows.append({"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items})
    return rows


def records(data: bytes) -> Iterator[bytes]:
    """The records of a log as LevelDB has it: blocks of chunks, whole ones or parts."""
    at, parts, block = 7, b"", 2**15
    while at + 7 <= len(data):
        if block - at % block < 7:  # too little for another header: the rest is padding
            at += block - at % block
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        parts, at = parts + data[at + 7 : at + 7 + length], at + 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


@pytest.mark.slow
def test_weights_and_biases_is_told_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    folder = tmp_path / "run"
    run = irl_lens.train("base", "smoke", out=folder, settings=FEW, track=["wandb"])
    told = [
        {name.removeprefix("base/"): value for name, value in row.items() if name[0] != "_"}
        for row in offline(folder)
    ]
    assert told == run.stage("base").metrics()


def test_what_cannot_be_told_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    with pytest.raises(UserError, match="--track visdom: take tensorboard or wandb"):
        irl_lens.train("base", "smoke", out=out, track=["visdom"])
    monkeypatch.setattr("irl_lens.runs.tracking.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'pip install "irl-lens\[wandb\]"'):
        irl_lens.train("base", "smoke", out=out, track=["wandb"])
    assert not out.exists()
