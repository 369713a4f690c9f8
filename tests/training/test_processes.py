"""Two processes that torchrun starts make what one makes, also when one is lost on the way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import torch

from irl_lens.config.overrides import changed
from irl_lens.config.presets import preset
from irl_lens.config.schema import Preset
from irl_lens.config.validation import check_processes
from irl_lens.envs.protocol import World
from irl_lens.errors import UserError
from irl_lens.models.fast import FastPath
from irl_lens.processes import own_rows, summed, totals
from irl_lens.progress import QuietProgress
from irl_lens.runs.run import Run
from irl_lens.training.batches import Batch
from irl_lens.training.discovery import noise_of
from irl_lens.training.pretrain import PretrainJob, pretrain
from tests.training.in_processes import LOST, SETTINGS, STAGES, sweep

ROOT = Path(__file__).parents[2]
BEGUN = 2
"""Steps of the base that one process has taken before two go on."""
assert_close = partial(torch.testing.assert_close, atol=1e-5, rtol=1e-5)


def torchrun(arguments: Sequence[str], processes: int = 2) -> subprocess.CompletedProcess[str]:
    """Starts processes on this machine, anew if one is lost, and waits for their end."""
    started = ("--standalone", "--nproc-per-node", str(processes), "--max-restarts", "1")
    command = [sys.executable, "-m", "torch.distributed.run", *started, *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def begin(folder: Path) -> None:
    """A run whose base has been trained for a few steps by one process."""
    run = Run.create(folder, tiny(), 0)
    job, stage = PretrainJob(run.preset, 0), run.stage("base")
    stage.load_state()
    stage.log(1, **job.step(0))
    for i in range(1, BEGUN):
        job.step(i)  # not logged, as by the loop
    stage.save_state(BEGUN, job.state())


def tiny() -> Preset:
    return changed(preset("smoke"), SETTINGS)


@dataclass(frozen=True)
class Trained:
    """The same run, trained by one process and by two."""

    one: Run
    two: Run
    told: str
    lost: Path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("processes")
    sweep(folder / "one", "cpu")
    begin(folder / "two" / "seed0")
    ended = torchrun(["-m", "tests.training.in_processes", str(folder / "two"), "cpu"])
    assert ended.returncode == 0, ended.stderr
    one, two = (Run.open(folder / name / "seed0") for name in ("one", "two"))
    return Trained(one, two, ended.stdout + ended.stderr, folder / "lost")


def near(weights: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    """Compares weights as one vector.

    Of some, as of biases of keys, the gradient is zero but for rounding, and Adam, which divides by
    its size, moves them as far as others.
    """
    one, other = (torch.cat([w[k].flatten() for k in expected]) for w in (weights, expected))
    assert weights.keys() == expected.keys()
    assert (one - other).norm() < 5e-5 * other.norm()


def compare(one: Run, two: Run, stage: str) -> None:
    """Compares weights and logs; times differ."""
    near(two.stage(stage).weights(), one.stage(stage).weights())
    result, expected = (run.stage(stage).result for run in (two, one))
    numbers = {name for name, value in expected.items() if isinstance(value, float)}
    for name in numbers:
        assert result[name] == pytest.approx(expected[name], rel=1e-5, abs=1e-5), name
    logs = [
        [{k: v for k, v in row.items() if "second" not in k} for row in run.stage(stage).metrics()]
        for run in (one, two)
    ]
    assert len(logs[0]) > 1
    assert [row.keys() for row in logs[1]] == [row.keys() for row in logs[0]]
    for row, expected in zip(logs[1], logs[0], strict=True):
        assert row == pytest.approx(expected, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("stage", STAGES)
def test_two_processes_make_what_one_makes(trained: Trained, stage: str) -> None:
    compare(trained.one, trained.two, stage)


def test_two_processes_are_surprised_where_one_is(trained: Trained) -> None:
    one, two = (run.folder.with_name("expecting") for run in (trained.one, trained.two))
    compare(Run.open(one), Run.open(two), "switches")


@pytest.mark.parametrize("stage", ["internal-rl", "raw-rl", "compile-rl"])
def test_policies_were_updated(trained: Trained, stage: str) -> None:
    assert trained.one.stage(stage).metrics()[-1]["kl"] > 0


def test_who_loses_another_process_says_so(trained: Trained) -> None:
    assert "irl-lens, process 0 of 2: 1 of 1 runs failed" in trained.told
    said = "of 2 processes that train together one has ended"
    assert said in trained.told and "give the same command again to continue" in trained.told


def test_one_goes_on_where_two_stopped(trained: Trained, tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", tiny(), 0)
    (run.folder / "base").mkdir()
    shutil.copy(trained.lost, run.folder / "base" / "state.safetensors")
    found = run.stage("base").load_state()
    assert found is not None and found[0] == LOST
    pretrain(run, QuietProgress())
    expected = trained.one.stage("base").weights()
    near(run.stage("base").weights(), expected)


def test_what_each_process_has_of_a_batch_adds_up(world: World, base: FastPath) -> None:
    shown, whole = world.demonstrate(13, 0), Batch.of(world.demonstrate(13, 0))
    parts = [Batch.of(shown, chunk=3, own=slice(k, None, 3)) for k in range(3)]
    assert [len(part.mask) for part in parts] == [5, 4, 4]

    def nll(batch: Batch) -> torch.Tensor:
        return batch.nll(base, batch.residuals(base, (1,))[1], 1)

    assert_close(torch.stack([nll(part) for part in parts]).sum(), nll(whole))
    noise = noise_of(0, "test", 0, whole, 4)
    for k, part in enumerate(parts):
        own = noise[k::3, : part.mask.shape[1]]
        assert torch.equal(noise_of(0, "test", 0, part, 4), own)


def test_who_is_alone_has_all() -> None:
    tensor = torch.arange(3.0)
    assert own_rows(1) == slice(0, None, 1)
    assert summed([tensor])[0] is tensor and totals({"nll": 1.5}) == {"nll": 1.5}


def test_more_processes_than_pieces_are_refused() -> None:
    check_processes(tiny(), ["world", "pretrain", "internal_rl"], 3)
    few = "4 processes for internal_rl.batch = 20, which is 3 shares of internal_rl.share = 8"
    with pytest.raises(UserError, match=f"{few}; start at most 3 .* smaller share"):
        check_processes(tiny(), ["pretrain", "internal_rl"], 4)
    with pytest.raises(UserError, match=r"14 processes for codes.batch = 13, .* larger batch"):
        check_processes(tiny(), ["codes"], 14)


@pytest.mark.slow
def test_a_whole_run_is_evaluated_by_the_first(tmp_path: Path) -> None:
    settings = [*SETTINGS, "evaluation.probe_iterations=3"]
    given = ["run", "smoke", "--out", str(tmp_path / "run"), "--device", "cpu", "--set", *settings]
    ended = torchrun(["-m", "irl_lens", *given])
    assert ended.returncode == 0, ended.stderr
    run = Run.open(tmp_path / "run")
    assert all(run.stage(name).made_with()["processes"] == 2 for name in run.chain)
    lines = ended.stdout.splitlines()
    assert len(lines) == len(run.evaluation) + 2 and lines[-1] == f"{run.folder}/report.html"


@pytest.mark.gpu
def test_graphics_cards_make_what_one_makes(tmp_path: Path) -> None:
    sweep(tmp_path / "one", "cuda")
    cards = min(2, torch.cuda.device_count())
    where = str(tmp_path / "two")
    ended = torchrun(["-m", "tests.training.in_processes", where, "cuda"], cards)
    assert ended.returncode == 0, ended.stderr
    one, two = (Run.open(tmp_path / name / "seed0") for name in ("one", "two"))
    for stage in STAGES:
        compare(one, two, stage)
