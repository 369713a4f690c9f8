"""The model in the box is a real one: measured here, on boards of the test's own."""

from pathlib import Path

import numpy as np
import pytest
import torch

import irl_lens
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.trial import Trial
from irl_lens.analyses.learning.success import raw_outcomes
from irl_lens.envs.pinpad.bayes import nll
from irl_lens.files.json_files import read_json
from irl_lens.models.fast import FastPath
from irl_lens.models.trace import encode
from irl_lens.training.switches import SwitchCounts

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def run():
    return irl_lens.load("grid")


@pytest.fixture(scope="module")
def base(run):
    return run.world, run.base


def test_every_stage_is_there(run):
    assert tuple(run.finished()) == run.chain
    acting = "base", "controllers", "codes", "internal-rl"
    assert all(run.stage(name).weights() for name in acting)  # the report plays with all of them


def test_raw_rl_is_shipped_as_the_episodes_that_are_published(run):
    outcomes = raw_outcomes(LoadedRun(run))
    published = read_json(ROOT / "results" / "grid" / "bundled.json", "")["measured"]
    assert outcomes["raw"].success_solvable.value == published["raw_rl.success_solvable"]
    assert outcomes["raw"].success_all.value == published["raw_rl.success_all"]
    assert outcomes["raw"].subgoals.value == published["raw_rl.subgoals"]
    assert outcomes["raw"].visits.value == published["raw_rl.visits"]
    assert outcomes["raw_likeliest"].success_solvable.value == published["raw_rl.success_argmax"]


@pytest.mark.parametrize("name, most", [("grid", 15e6), ("ant", 10e6)])
def test_a_box_is_small(name, most):
    run = irl_lens.load(name)
    assert sum(path.stat().st_size for path in run.folder.rglob("*") if path.is_file()) < most


def test_an_ant_is_there_too():
    run = irl_lens.load("ant", device="cpu")
    assert tuple(run.finished()) == run.chain
    batch = run.world.demonstrate(32, 54_321)
    trace = run.encode(batch)
    counts = trace.switches, batch.boundaries(), batch.mask, batch.tolerance
    assert SwitchCounts.of(*counts).scores()["f1"] > 0.8
    played = Trial(run.world, rows=64, seed=0, temperature=0.5)
    assert played.play(run.fast, run.policy.by_mean()).success_solvable.value > 0.4
    assert played.play(run.fast).success_solvable.value < 0.05


def test_the_base_is_near_the_floor(base):
    world, model = base
    batch = world.demonstrate(256, 12_345)
    with torch.inference_mode():
        log_probs = FastPath(model).logits(torch.as_tensor(batch.observations)).log_softmax(-1)
    probs = log_probs.double().exp().numpy()
    floor = nll(world.floor(batch).probs, batch.actions, batch.mask)
    assert floor < nll(probs, batch.actions, batch.mask) < floor + 0.07


def test_the_fast_path_agrees_on_trained_weights(base):
    world, model = base
    observations = torch.as_tensor(world.demonstrate(8, 1).observations)
    with torch.inference_mode():
        torch.testing.assert_close(
            FastPath(model).logits(observations), model(observations), atol=1e-4, rtol=1e-4
        )


def test_the_gate_opens_at_boundaries(run, base):
    world, model = base
    batch = world.demonstrate(128, 54_321)
    trace = encode(run.metacontroller, FastPath(model), batch)
    scores = SwitchCounts.of(trace.beta >= 0.5, batch.boundaries(), batch.mask).scores()
    assert scores["f1"] > 0.95
    shifted = np.roll(batch.boundaries(), 3, axis=1)
    assert SwitchCounts.of(trace.beta >= 0.5, shifted, batch.mask).scores()["f1"] < 0.5
