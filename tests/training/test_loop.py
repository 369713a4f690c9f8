from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from irl_lens.files.tensors import (
    CheckpointError,
    join_parts,
    pack_optimizer,
    split_parts,
    unpack_optimizer,
)
from irl_lens.progress import QuietProgress
from irl_lens.runs.stage import Stage
from irl_lens.training.finite import DivergedError, not_finite
from irl_lens.training.loop import finish, train

STEPS = 8


class Regression:
    """A job with everything that makes resuming hard: moments, noise, a running average."""

    def __init__(self, during: Callable[[int], None] = lambda i: None, width: int = 4) -> None:
        torch.manual_seed(0)
        self.steps = STEPS
        self.model = nn.Sequential(nn.Linear(3, width), nn.Tanh(), nn.Linear(width, 1))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.01)
        self.average = torch.zeros(())
        self.during = during

    def step(self, i: int) -> dict[str, float]:
        noise = torch.Generator().manual_seed(1000 + i)
        inputs = torch.randn(16, 3, generator=noise)
        loss = (self.model(inputs) - inputs.sum(1, keepdim=True)).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.during(i)
        self.optimizer.step()
        self.average = 0.9 * self.average + 0.1 * loss.detach()
        return {"loss": loss.item(), "average": self.average.item()}

    def state(self) -> dict[str, Tensor]:
        return join_parts(
            model=self.model.state_dict(),
            optimizer=pack_optimizer(self.optimizer),
            average={"value": self.average},
        )

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        parts = split_parts(tensors, "model", "optimizer", "average")
        self.model.load_state_dict(parts["model"])
        unpack_optimizer(self.optimizer, parts["optimizer"])
        self.average = parts["average"]["value"]


def _train(folder: Path, job: Regression, checkpoint_seconds: float = 60.0) -> Stage:
    stage = Stage(folder)
    train(stage, job, QuietProgress(), checkpoint_seconds=checkpoint_seconds, log_every=2)
    return stage


def _rows(stage: Stage) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in stage.metrics()]


def _same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Tensor], list[Any]]:
    job = Regression()
    stage = _train(tmp_path_factory.mktemp("straight") / "base", job)
    return job.state(), _rows(stage)


def _at(step: int, act: Callable[[], None]) -> Callable[[int], None]:
    return lambda i: act() if i == step else None


def _press_ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def _lose_power() -> None:
    raise SystemError("the power went")


def test_log_has_first_last_and_every_second_step(straight: tuple[Any, list[Any]]) -> None:
    assert [row["step"] for row in straight[1]] == [1, 2, 4, 6, 8]


@pytest.mark.parametrize("step", range(STEPS))
def test_ctrl_c_inside_any_step_then_resume_is_bit_exact(
    tmp_path: Path, straight: tuple[dict[str, Tensor], list[Any]], step: int
) -> None:
    with pytest.raises(KeyboardInterrupt, match=f"base stopped after step {step + 1}"):
        _train(tmp_path / "base", Regression(_at(step, _press_ctrl_c)))
    job = Regression()
    stage = _train(tmp_path / "base", job)
    assert _same(job.state(), straight[0])
    assert _rows(stage) == straight[1]


@pytest.mark.parametrize("checkpoint_seconds", [0.0, 60.0])
@pytest.mark.parametrize("step", [0, 3, 7])
def test_crash_then_resume_is_bit_exact(
    tmp_path: Path,
    straight: tuple[dict[str, Tensor], list[Any]],
    step: int,
    checkpoint_seconds: float,
) -> None:
    with pytest.raises(SystemError):
        _train(tmp_path / "base", Regression(_at(step, _lose_power)), checkpoint_seconds)
    job = Regression()
    stage = _train(tmp_path / "base", job)
    assert _same(job.state(), straight[0])
    assert _rows(stage) == straight[1]


def test_resume_does_only_what_is_left(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        _train(tmp_path / "base", Regression(_at(4, _press_ctrl_c)))
    done: list[int] = []
    _train(tmp_path / "base", Regression(done.append))
    assert done == [5, 6, 7]
    again: list[int] = []
    _train(tmp_path / "base", Regression(again.append))
    assert again == []


def test_stops_when_no_more_is_wanted_and_stays_stopped(tmp_path: Path) -> None:
    done: list[int] = []
    stage = Stage(tmp_path / "base")
    train(stage, Regression(done.append), QuietProgress(), until=lambda: len(done) == 3)
    assert done == [0, 1, 2]
    assert [row["step"] for row in stage.metrics()] == [1, 3]
    found = stage.load_state()
    assert found is not None and found[0] == 3
    again: list[int] = []
    train(stage, Regression(again.append), QuietProgress(), until=lambda: True)
    assert again == []


def test_second_ctrl_c_interrupts_at_once_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    def twice() -> None:
        _press_ctrl_c()
        _press_ctrl_c()

    with pytest.raises(KeyboardInterrupt):
        _train(tmp_path / "base", Regression(_at(3, twice)), checkpoint_seconds=0.0)
    found = Stage(tmp_path / "base").load_state()
    assert found is not None and found[0] == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_work_as_before_afterwards(tmp_path: Path, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(SystemError):
        _train(tmp_path / "base", Regression(_at(1, _lose_power)))
    assert signal.getsignal(number) is before


def test_sigterm_is_taken_as_ctrl_c_is(
    tmp_path: Path, straight: tuple[dict[str, Tensor], list[Any]]
) -> None:
    def end() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt, match="base stopped after step 4"):
        _train(tmp_path / "base", Regression(_at(3, end)))
    job = Regression()
    _train(tmp_path / "base", job)
    assert _same(job.state(), straight[0])


def test_trains_outside_the_main_thread(
    tmp_path: Path, straight: tuple[dict[str, Tensor], list[Any]]
) -> None:
    job = Regression()
    thread = threading.Thread(target=_train, args=(tmp_path / "base", job))
    thread.start()
    thread.join()
    assert _same(job.state(), straight[0])


def test_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    _train(tmp_path / "base", Regression())
    with pytest.raises(CheckpointError, match="does not fit this model"):
        _train(tmp_path / "base", Regression(width=5))


def test_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    _train(tmp_path / "base", Regression())
    path = tmp_path / "base" / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(CheckpointError, match="truncated"):
        _train(tmp_path / "base", Regression())


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_found_wherever_it_is(bad: float) -> None:
    largest = torch.finfo(torch.float32).max
    good = {"figure": -1e300, "int": 3, "flags": torch.tensor([True]), "none": torch.zeros(0)}
    good |= {"overflows when summed": torch.full((3, 4), largest)}
    assert not_finite(good) is None
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        weights = torch.zeros(4, 5, dtype=dtype)
        weights[2, 3] = bad
        assert not_finite(good | {"weights": weights}) == "weights"
        assert not_finite({"weights": -weights} | good) == "weights"
    both = torch.tensor([float("inf"), -float("inf"), 1.0])
    assert not_finite({"both": both}) == "both"
    assert not_finite(good | {"loss": bad}) == "loss"


def _poison(kind: str, job: Regression) -> None:
    weight = next(job.model.parameters())
    if kind == "weight":
        weight.data[0, 0] = float("nan")
    elif kind == "gradient":
        assert weight.grad is not None
        weight.grad[0, 0] = float("inf")
    elif kind == "moment":
        job.optimizer.state[weight]["exp_avg_sq"][0, 0] = float("inf")
    else:
        job.average = torch.tensor(float("nan"))


@pytest.mark.parametrize("kind", ["weight", "gradient", "moment", "figure"])
def test_stops_at_the_first_number_that_is_not_finite_and_keeps_what_was_before(
    tmp_path: Path, straight: tuple[dict[str, Tensor], list[Any]], kind: str
) -> None:
    told: list[int] = []
    stage, said = Stage(tmp_path / "base"), r"stage base .* not finite in step 6 .*after step 5 is"
    for _ in range(2):  # the same again from the checkpoint
        job = Regression()
        job.during = _at(5, partial(_poison, kind, job))
        with pytest.raises(DivergedError, match=said):
            train(stage, job, QuietProgress(), checkpoint_seconds=0.0, after=told.append)
    assert told == [0, 1, 2, 3, 4, 5, 5] and stage.metrics()[-1]["step"] <= 5
    found = stage.load_state()
    assert found is not None and found[0] == 5 and not_finite(found[1]) is None
    job = Regression()
    train(stage, job, QuietProgress())
    assert _same(job.state(), straight[0])


def test_a_checkpoint_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    stage, job = Stage(tmp_path / "base"), Regression()
    job.step(0)
    _poison("moment", job)
    stage.save_state(1, job.state())
    with pytest.raises(CheckpointError, match=r"not finite \(optimizer/.*exp_avg_sq\); delete it"):
        train(stage, Regression(), QuietProgress())


def test_a_result_that_is_not_finite_does_not_count(tmp_path: Path) -> None:
    stage, bad = Stage(tmp_path / "base"), float("nan")
    for weights, result in (({"w": torch.tensor(bad)}, {}), ({}, {"steps": 1, "nll": bad})):
        with pytest.raises(DivergedError, match=r"not finite \((w|nll)\), so it does not count"):
            finish(stage, weights, result)
        assert not stage.folder.exists()
    finish(stage, {"w": torch.zeros(1)}, {"nll": 0.5, "recent": None})
    assert stage.done
