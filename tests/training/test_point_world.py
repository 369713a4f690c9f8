"""Every stage's training in a world of real numbers, with labels and without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from irl_lens.config.rl import InternalRLConfig, RLConfig
from irl_lens.config.schema import BaseConfig, CodesConfig, ControllersConfig, DiscoveryConfig
from irl_lens.config.value_types import Deviation
from irl_lens.errors import UserError
from irl_lens.hooks import ControllerBank, LowRankController
from irl_lens.models.base import TrajectoryModel, hook_name
from irl_lens.models.fast import FastPath
from irl_lens.models.metacontroller import Metacontroller
from irl_lens.rl.internal import InternalAgent
from irl_lens.rl.oracle import OracleControllers
from irl_lens.rl.raw import RawAgent
from irl_lens.rl.runner import RolloutRunner
from irl_lens.rl.trainer import RLJob
from irl_lens.training.batches import Batch, WholeBatch
from irl_lens.training.codes import CodesJob
from irl_lens.training.controllers import ControllersJob
from irl_lens.training.discovery import DiscoveryJob
from irl_lens.training.segment_starts import DiscoveredSwitches
from tests.point_world import PointConfig, PointWorld

SIZES = BaseConfig(d_model=16, n_layers=2, n_heads=2, d_mlp=24)
DISCOVERY = DiscoveryConfig(
    layer=1,
    history=6,
    sequence=5,
    hidden=8,
    latent=3,
    decoder_hidden=6,
    rank=3,
    steps=3,
    batch=16,
    lr=1e-2,
)
WORLDS = {
    "labelled": PointWorld(PointConfig()),
    "mixed": PointWorld(PointConfig(counts=True)),
    "unlabelled": PointWorld(PointConfig(labelled=False)),
}


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> PointWorld:
    return WORLDS[request.param]


def base_of(world: PointWorld, deviation: Deviation = "state", components: int = 1) -> FastPath:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sizes = replace(SIZES, deviation=deviation, components=components)
        return FastPath(TrajectoryModel(sizes, world.observation, world.actions).frozen())


def test_discovery(world: PointWorld) -> None:
    job = DiscoveryJob(DISCOVERY, world, base_of(world), 0)
    steps = [job.step(i) for i in range(3)]
    assert np.isfinite([step["nll"] for step in steps]).all()
    scored = {"f1", "switch_rate"} <= job.measure(20).keys()
    assert scored == ("f1" in steps[0]) == world.config.labelled


def test_codes(world: PointWorld) -> None:
    base = base_of(world)
    meta = Metacontroller(DISCOVERY, 16).requires_grad_(False)
    config = CodesConfig(steps=2, history=6, hidden=8, latent=3, batch=16)
    job = CodesJob(config, world, base, DiscoveredSwitches(meta, 0.5), 0)
    assert np.isfinite([job.step(i)["nll"] for i in range(2)]).all()
    assert ("f1" in job.measure(20)) == world.config.labelled


def test_controllers_need_labels(world: PointWorld) -> None:
    config, base = ControllersConfig(layers=(1, 2), rank=3, batch=32, lr=1e-2), base_of(world)
    if not world.config.labelled:
        with pytest.raises(UserError, match="PointWorld names no subgoals"):
            ControllersJob(config, world, base, 0)
        return
    job = ControllersJob(config, world, base, 0)
    before = job.measure(64)
    for i in range(40):
        job.step(i)
    assert job.measure(64)["nll_layer1"] < before["nll_layer1"] - 0.05


@pytest.mark.parametrize("targets", ["actions", "policy"])
def test_the_pieces_of_a_batch_have_the_loss_of_the_whole(targets) -> None:
    base, shown = base_of(WORLDS["labelled"]), WORLDS["labelled"].demonstrate(30, 0)
    losses = [
        kind.of(shown).nll(base, kind.of(shown).residuals(base, (1,))[1], 1, targets)
        for kind in (Batch, WholeBatch)
    ]
    torch.testing.assert_close(*losses)


def test_without_the_experts_policy_its_actions_are_imitated() -> None:
    base, shown = base_of(WORLDS["labelled"]), WORLDS["labelled"].demonstrate(30, 0)
    batch, alone = Batch.of(shown), Batch.of(replace(shown, policy=None))
    stream = batch.residuals(base, (1,))[1]
    assert torch.equal(alone.nll(base, stream, 1, "policy"), batch.nll(base, stream, 1, "actions"))
    assert not torch.equal(batch.nll(base, stream, 1, "policy"), batch.nll(base, stream, 1))


HEADS = [("constant", 1), ("state", 1), ("constant", 3), ("state", 3)]


@pytest.mark.parametrize(("deviation", "components"), HEADS)
def test_rollouts_record_what_was_done(
    world: PointWorld, deviation: Deviation, components: int
) -> None:
    base = base_of(world, deviation, components)
    played = RolloutRunner(base, world.horizon, temperature=0.5).play(world.vector_env(24), 5)
    env = world.vector_env(24)
    observation, _ = env.reset(seed=5)
    rewards = np.zeros(24)
    for t in range(played.mask.shape[1]):
        live = played.mask[:, t]
        assert (played.observations[live, t] == observation[live]).all()
        observation, reward, *_ = env.step(played.actions[:, t])
        rewards += reward
    assert (played.rewards == rewards).all()
    assert played.actions.dtype == np.float32 and played.actions.shape[2:] == (2,)
    outputs = base.model(torch.from_numpy(played.observations))
    expected = base.action_head.log_prob(outputs, torch.from_numpy(played.actions), 0.5).numpy()
    calm = RolloutRunner(base, world.horizon, temperature=0).play(world.vector_env(24), 5)
    means = base.action_head.mode(base.model(torch.from_numpy(calm.observations))).numpy()
    assert abs(means - calm.actions)[calm.mask].max() < 1e-4
    assert abs(expected - played.log_probs)[played.mask].max() < 1e-4
    told = [getattr(played, name) is not None for name in ("subgoals", "visits", "reached")]
    assert told == [world.config.labelled] * 3
    if not world.config.labelled:
        with pytest.raises(UserError, match="does not tell the reached"):
            played.require("reached")


def test_a_fork_takes_the_given_actions_first() -> None:
    world = WORLDS["labelled"]
    runner = RolloutRunner(base_of(world), world.horizon)
    given = torch.linspace(-1, 1, 24 * 3 * 2).view(24, 3, 2)
    forked = runner.play(world.vector_env(24), 5, given)
    kept = forked.mask[:, :3]
    assert (forked.actions[:, :3] == given.numpy())[kept].all()


def test_oracles_need_labels() -> None:
    world = WORLDS["unlabelled"]
    bank = ControllerBank.trainable(
        LowRankController, ("a", "b", "c", "d"), 16, hook_name(1), rank=2, init=0.1
    )
    runner = RolloutRunner(base_of(world), world.horizon, OracleControllers(bank))
    with pytest.raises(UserError, match="does not tell which subgoal"):
        runner.play(world.vector_env(4), 0)


@pytest.mark.parametrize(("deviation", "components"), HEADS)
def test_raw_learning(world: PointWorld, deviation: Deviation, components: int) -> None:
    config = RLConfig(episodes=256, batch=64, lr=1e-2, entropy=1e-3)
    agent = RawAgent(base_of(world, deviation, components).model, config, world.horizon)
    job = RLJob(agent, world, config, 0, "test", prefix=1)
    before = {name: p.clone() for name, p in agent.trained.named_parameters()}
    first = [job.step(i) for i in range(4)]
    assert np.isfinite([x for figures in first for x in figures.values()]).all()
    assert any(figures["kl"] > 0 for figures in first)
    moved = [n for n, p in agent.trained.named_parameters() if not torch.equal(p, before[n])]
    assert "hooked.unembed.W_U" in moved
    deviations = "log_deviation" if components == 1 else "component.log_deviation"
    assert (f"action_head.{deviations}" in moved) == (deviation == "constant")
    assert ("reached_1" in job.measure(32)) == world.config.labelled


def test_scoring_again_without_a_step_changes_no_probability() -> None:
    world = WORLDS["labelled"]
    config = RLConfig(episodes=64, batch=64, temperature=2.0)
    agent = RawAgent(base_of(world).model, config, world.horizon)
    rollout = agent.runner.play(world.vector_env(64), 3)
    for chunk in agent.chunks(rollout, torch.ones(64)):
        log_probs, _ = chunk.evaluate()
        torch.testing.assert_close(
            log_probs[chunk.mask], chunk.old[chunk.mask], atol=1e-4, rtol=1e-4
        )


def test_internal_learning(world: PointWorld) -> None:
    meta = Metacontroller(DISCOVERY, 16).requires_grad_(False)
    config = InternalRLConfig(episodes=64, batch=32, lr=1e-2, width=8)
    agent = InternalAgent(base_of(world), meta, config, world.horizon, 0)
    job = RLJob(agent, world, config, 0, "test", prefix=1)
    for i in range(2):
        assert np.isfinite(list(job.step(i).values())).all()
    rollout = agent.runner.play(world.vector_env(8), 0)
    assert rollout.decisions is not None and rollout.actions.shape[2:] == (2,)
    assert "success" in job.measure(16)
