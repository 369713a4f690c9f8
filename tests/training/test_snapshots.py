"""Snapshots of the base while it trains: the same after any interruption, and nobody's business."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from irl_lens.config.presets import preset
from irl_lens.errors import UserError
from irl_lens.progress import Progress, QuietProgress
from irl_lens.runs.copies import write_record
from irl_lens.runs.run import Run
from irl_lens.training.pretrain import HALVINGS, PretrainJob, pretrain, snapshot_steps

SMOKE = preset("smoke")
PRESET = replace(SMOKE, pretrain=replace(SMOKE.pretrain, steps=6))


class Stopping(QuietProgress):
    """Loses the power when it hears of a step."""

    def __init__(self, at: int) -> None:
        self.at = at

    def update(self, step: int, **figures: float) -> None:
        if step == self.at:
            raise SystemError("the power went")


def trained(folder: Path, *progresses: Progress) -> Run:
    run = Run.create(folder, PRESET, seed=3)
    for progress in progresses:
        with pytest.raises(SystemError):
            pretrain(run, progress)
    pretrain(run, QuietProgress())
    return run


def kept(run: Run) -> dict[str, bytes]:
    folder = run.stage("base").folder / "snapshots"
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("straight") / "run")


def test_they_are_evenly_spaced_in_the_logarithm() -> None:
    assert sorted(snapshot_steps(20_000)) == [0, 156, 312, 625, 1250, 2500, 5000, 10000]
    assert len(snapshot_steps(20_000)) == HALVINGS + 1
    assert snapshot_steps(6) == {0, 1, 3} and snapshot_steps(1) == {0}


def test_the_base_is_kept_from_untrained_to_half_trained(run: Run) -> None:
    stage, job = run.stage("base"), PretrainJob(PRESET, 3)
    assert stage.snapshots == (0, 1, 3)
    for step in range(4):
        if step in stage.snapshots:
            model = run.snapshot(step)
            for name, weights in job.model.weights().items():
                rounded = weights.bfloat16().float() if weights.ndim > 1 else weights
                assert torch.equal(model.weights()[name], rounded)
        job.step(step)
    sizes = [len(data) for data in kept(run).values()]
    assert max(sizes) < 0.6 * (stage.folder / "weights.safetensors").stat().st_size


@pytest.mark.parametrize("lost", [(1,), (2,), (4,), (1, 2, 4, 6)])
def test_no_interruption_loses_doubles_or_changes_one(
    run: Run, tmp_path: Path, lost: tuple[int, ...]
) -> None:
    again = trained(tmp_path / "run", *map(Stopping, lost))
    assert kept(again) == kept(run)


def test_a_stage_begun_afresh_drops_those_of_before(run: Run, tmp_path: Path) -> None:
    stage = Run.create(tmp_path / "run", PRESET, seed=3).stage("base")
    weights = run.base.weights()
    for step in (0, 2, 5):
        stage.save_snapshot(step, weights)
    assert kept(trained(tmp_path / "run")) == kept(run)


def test_copies_leave_them_out(run: Run, tmp_path: Path) -> None:
    assert not any("snapshots" in name for name in run.stage("base").files())
    record = write_record(run, tmp_path / "record")
    assert not list(record.rglob("*.safetensors"))
    other = Run.create(tmp_path / "other", PRESET, seed=4)
    other.take_base(run)
    assert other.stage("base").snapshots == ()


def test_what_was_not_kept_is_said_with_what_was(run: Run) -> None:
    with pytest.raises(UserError, match="no snapshot after step 2; there are 0, 1, 3"):
        run.snapshot(2)
