"""The model in the box is a real one: measured here, on boards of the test's own."""

import numpy as np
import pytest
import torch

import irl_lens
from irl_lens.envs.pinpad.bayes import nll
from irl_lens.models.fast import FastPath
from irl_lens.models.trace import encode
from irl_lens.runs.chain import STAGES
from irl_lens.training.switches import SwitchCounts


@pytest.fixture(scope="module")
def run():
    return irl_lens.load("grid")


@pytest.fixture(scope="module")
def base(run):
    return run.world, run.base


def test_every_stage_is_there(run):
    assert tuple(run.finished()) == run.chain == STAGES
    assert all(run.stage(name).weights() for name in STAGES)  # the report plays with all of them


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
