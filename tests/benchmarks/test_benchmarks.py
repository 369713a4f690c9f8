"""Each benchmark, of tiny sizes, says what it is to say; what it compares is the same."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.base import _steps, _weights
from benchmarks.decoding import decoding, shown
from benchmarks.grid import harmless
from benchmarks.growth import FORGETS, POINTS, point, prepared
from benchmarks.measuring import MissingError, Setting, in_turn, ratios, require
from benchmarks.plain import PlainModel
from benchmarks.sweep import by_transformer_lens, by_us, made
from benchmarks.table import BENCHMARKS, Benchmark
from irl_lens.config.presets import preset
from irl_lens.envs.pinpad.spec import PinpadConfig
from irl_lens.envs.pinpad.vector_env import rows_of
from irl_lens.models.fast import FastPath
from irl_lens.training.pretrain import PretrainJob
from tests.elsewhere import elsewhere

ROOT = Path(__file__).parents[2]
SMALL = Setting(rounds=2, small=True)
NEEDS = {"benchmarks.discovery:measure_peer": "metacontroller", "benchmarks.ant:measure": "imageio"}
LONG = ("benchmarks.earlier", "benchmarks.growth", "benchmarks.base:")
ELSEWHERE = ("rollouts:measure", "discovery:measure", "sweep:measure")
linux = pytest.mark.skipif(not FORGETS.exists(), reason="memory is by Linux's count")


def cases() -> list[object]:
    def marks(function: str) -> list[pytest.MarkDecorator]:
        needs = NEEDS.get(function, "torch")
        missing = pytest.mark.skipif(find_spec(needs) is None, reason=f"{needs} is not here")
        return [missing, pytest.mark.slow] if function.startswith(LONG) else [missing]

    return [pytest.param(x, id=x.function, marks=marks(x.function)) for x in BENCHMARKS]


@pytest.fixture(scope="module")
def job() -> PretrainJob:
    return PretrainJob(preset("smoke"), 0)


@pytest.mark.parametrize("each", cases())
def test_it_says_what_it_is_to_say(each: Benchmark) -> None:
    found = each.measure(SMALL)
    of = {key: [name for name in found if f"{name}.".startswith(f"{key}.")] for key in each.keys}
    assert all(of.values()) and sum(len(names) for names in of.values()) == len(found)
    once = each.function.startswith(("benchmarks.growth", "benchmarks.commands:measure_report"))
    rounds = 1 if once or each.function.endswith("measure_run") else SMALL.rounds
    assert {len(numbers) for numbers in found.values()} == {rounds}
    positive = [x for key, numbers in found.items() if "megabytes" not in key for x in numbers]
    assert min(positive) > 0


@pytest.mark.parametrize("name", ELSEWHERE)
def test_it_measures_another_device(name: str) -> None:
    (each,) = (each for each in BENCHMARKS if each.function == f"benchmarks.{name}")
    with elsewhere() as device:
        assert each.measure(Setting(1, device, small=True))


def test_steps_of_the_base_are_measured_on_another_device() -> None:
    with elsewhere() as device:
        found = _steps(PretrainJob(preset("smoke"), 0, device), Setting(1, device, small=True))
    assert found.keys() == {"step.milliseconds", "tokens_per_s", "gemm_share"}


def test_calls_take_turns_after_one_each_that_is_not_counted() -> None:
    order: list[str] = []
    calls = {name: (lambda name=name: order.append(name)) for name in "ab"}
    took = in_turn(calls, Setting(rounds=3))
    assert order == ["a", "b"] * 4 and [len(took[name]) for name in "ab"] == [3, 3]
    in_turn(calls, Setting(rounds=1), warm=False)
    assert order == ["a", "b"] * 5


def test_ratios_are_of_a_round() -> None:
    assert ratios([1.0, 6.0], [2.0, 3.0]) == [0.5, 2.0]


def test_what_is_not_installed_is_told_with_a_remedy() -> None:
    require("torch", "")
    with pytest.raises(MissingError, match="pip install it"):
        require("no_such_module", "pip install it")


def test_the_plain_model_is_the_base(job: PretrainJob) -> None:
    x = job.fast.tensor(job.stream[0].observations)
    ours, plain = FastPath(job.model).logits(x), PlainModel(job.model)(x)
    torch.testing.assert_close(plain, ours, atol=1e-5, rtol=0)


def test_what_is_decoded_is_what_is_read_at_once(job: PretrainJob) -> None:
    x = shown(job.stream[0].observations, 3, 8)
    fast = FastPath(job.model)
    torch.testing.assert_close(decoding(fast, x)(), fast.logits(x).detach(), atol=1e-4, rtol=0)


def test_demonstrations_are_shown_again_where_there_are_few() -> None:
    seen = np.arange(6).reshape(2, 3, 1)
    assert shown(seen, 3, 4)[..., 0].tolist() == [[0, 1, 2, 0], [3, 4, 5, 3], [0, 1, 2, 0]]


def test_the_weights_that_are_counted_are_all_but_those_that_are_looked_up(
    job: PretrainJob,
) -> None:
    matrices = [w.numel() for name, w in job.model.hooked.named_parameters() if "W_" in name]
    looked_up = [w.numel() for n, w in job.model.hooked.embed.named_parameters() if "W_" in n]
    ahead = job.model.next_observation.weight.numel()
    assert _weights(job.model) == sum(matrices) - sum(looked_up) + ahead


def test_harmless_moves_end_no_episode() -> None:
    env = rows_of(PinpadConfig(horizon=200), 64)
    walk = harmless(env, 100)
    env.reset(seed=0)
    ended = [np.any(np.logical_or(*env.step(actions)[2:4])) for actions in walk]
    assert len(ended) == 100 and not any(ended)
    assert len({tuple(column) for column in walk.T}) == 64


def test_the_sweep_of_several_episodes_is_that_of_transformer_lens() -> None:
    contrast = made(SMALL, pairs=2, steps=5)
    ours, theirs = by_us(contrast)(), by_transformer_lens(contrast)().numpy()
    assert ours.shape == (preset("smoke").base.n_layers, 5) and np.ptp(ours) > 0
    np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("axis", POINTS)
def test_every_axis_has_a_call(axis: str) -> None:
    prepared(axis, POINTS[axis][0], SMALL)()


COUNTED = """
import numpy as np
from benchmarks.growth import FORGETS, _peak

def peak_with(entries):
    FORGETS.write_text("5")
    before = _peak()
    np.ones(entries)
    return _peak() - before

assert 60 < peak_with(8_000_000) < 70
assert peak_with(8) < 10
"""


@linux
def test_memory_of_a_call_is_counted() -> None:
    found = point("rows", 1, SMALL)
    assert found["seconds"] > 0 and found["megabytes"] >= 0
    # In a process of its own, as it is measured: another has memory left over to give out again.
    counted = subprocess.run(
        [sys.executable, "-c", COUNTED], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (counted.returncode, counted.stderr) == (0, "")
