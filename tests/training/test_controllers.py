from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from irl_lens.config.schema import Preset
from irl_lens.envs.protocol import World
from irl_lens.models.fast import FastPath
from irl_lens.progress import QuietProgress
from irl_lens.runs.run import Run
from irl_lens.training.batches import Batch
from irl_lens.training.controllers import (
    ControllersJob,
    train_controllers,
)


@pytest.fixture
def job(small: Preset, world: World, base: FastPath) -> ControllersJob:
    return ControllersJob(small.controllers, world, base, seed=0)


def _weights(job: ControllersJob) -> list[torch.Tensor]:
    return [weight.clone() for weight in job.weights().values()]


def test_there_is_one_bank_a_layer_with_a_controller_a_subgoal(
    job: ControllersJob, world: World
) -> None:
    assert set(job.banks) == {1, 2}
    assert all(bank.names == world.subgoal_names for bank in job.banks.values())
    assert job.banks[2].hook_name == "blocks.1.hook_resid_post"


def test_labels_are_subgoals_and_not_positions_in_the_task(
    job: ControllersJob, world: World
) -> None:
    batch = Batch.of(world.demonstrate(12, 0))
    truth = batch.trajectories
    labels = job._labels(batch).numpy()
    assert np.array_equal(labels, truth.require("subgoals"))
    # Subgoals recur at other positions, so labels by progress would be other labels.
    first, second = truth.mask & (truth.progress == 0), truth.mask & (truth.progress == 1)
    assert set(labels[first]) & set(labels[second])


def test_only_the_pursued_subgoals_controller_acts(
    job: ControllersJob, world: World, base: FastPath
) -> None:
    batch = Batch.of(world.demonstrate(12, 1))
    stream = batch.residuals(base, (1,))[1]
    labels = job._labels(batch)
    controlled = job.banks[1].labelled(labels)(stream)
    for number, name in enumerate(world.subgoal_names):
        steps = labels == number
        expected = job.banks[1][name](stream)[steps]
        torch.testing.assert_close(controlled[steps], expected)
    assert torch.equal(controlled[~batch.mask], stream[~batch.mask])


def test_visits_can_be_the_labels(small: Preset, world: World, base: FastPath) -> None:
    job = ControllersJob(replace(small.controllers, label="visit"), world, base, seed=0)
    assert job.banks[1].names == world.visit_names
    assert set(job.step(0)) == {"nll_layer1", "nll_layer2"}


def test_the_base_stays_frozen_and_every_bank_learns(job: ControllersJob) -> None:
    identity, before = job.base.model.hash(), _weights(job)
    job.step(0)
    assert job.base.model.hash() == identity
    assert all(p.grad is None for p in job.base.model.parameters())
    assert all(not torch.equal(a, b) for a, b in zip(before, _weights(job), strict=True))


def test_layers_do_not_disturb_each_other(small: Preset, world: World, base: FastPath) -> None:
    both = ControllersJob(small.controllers, world, base, seed=0)
    alone = ControllersJob(replace(small.controllers, layers=(1,)), world, base, seed=0)
    for i in range(2):
        assert both.step(i)["nll_layer1"] == pytest.approx(alone.step(i)["nll_layer1"], rel=1e-6)


def test_training_lowers_the_action_loss(job: ControllersJob) -> None:
    before = job.measure(24)
    for i in range(25):
        job.step(i)
    after = job.measure(24)
    assert after["nll_without"] == before["nll_without"]
    assert all(after[key] < before[key] - 0.02 for key in ("nll_layer1", "nll_layer2"))


def test_a_restored_job_continues_to_the_bit(
    small: Preset, world: World, base: FastPath, job: ControllersJob
) -> None:
    job.step(0)
    resumed = ControllersJob(small.controllers, world, base, seed=0)
    resumed.load({name: tensor.clone() for name, tensor in job.state().items()})
    assert job.step(1) == resumed.step(1)
    assert all(torch.equal(a, b) for a, b in zip(_weights(job), _weights(resumed), strict=True))


def test_the_stage_leaves_banks_and_their_losses(run: Run, quiet: QuietProgress) -> None:
    train_controllers(run, quiet)
    stage = run.stage("controllers")
    assert set(stage.result) == {"nll_without", "nll_layer1", "nll_layer2"}
    assert {name.split(".")[0] for name in stage.weights()} == {"layer1", "layer2"}
    banks = run.controllers
    for layer, bank in banks.items():
        for name, weight in bank.state_dict().items():
            assert torch.equal(weight, stage.weights()[f"layer{layer}.{name}"])
        assert not any(p.requires_grad for p in bank.parameters())
    train_controllers(run, quiet)  # done: nothing to do


def test_a_cosine_schedule_ends_at_rest(small: Preset, world: World, base: FastPath) -> None:
    config = replace(small.controllers, schedule="cosine", targets="policy", steps=1_000)
    job = ControllersJob(config, world, base, seed=0)
    moved = []
    for i in (0, 999):
        before = _weights(job)
        job.step(i)
        pairs = zip(before, _weights(job), strict=True)
        moved.append(max(float((a - b).abs().max()) for a, b in pairs))
    assert moved[1] < 1e-3 * moved[0]


@pytest.mark.parametrize("kind", ["vector", "full", "low-rank"])
def test_every_kind_learns(small: Preset, world: World, base: FastPath, kind: str) -> None:
    config = replace(small.controllers, kind=kind, steps=3)
    job = ControllersJob(config, world, base, seed=0)
    untrained = _weights(job)
    for i in range(3):
        job.step(i)
    assert all(not torch.equal(a, b) for a, b in zip(untrained, _weights(job), strict=True))
