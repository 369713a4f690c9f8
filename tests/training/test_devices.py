"""Every step of the chain with model and data on another device: the same numbers as on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from irl_lens.config.presets import preset
from irl_lens.config.rl import InternalRLConfig, RLConfig
from irl_lens.config.schema import (
    BaseConfig,
    CodesConfig,
    ControllersConfig,
    DiscoveryConfig,
    PretrainConfig,
)
from irl_lens.envs.protocol import World
from irl_lens.envs.registry import PinpadConfig, make_world
from irl_lens.hooks import ControllerBank, LowRankController
from irl_lens.models.base import TrajectoryModel, hook_name
from irl_lens.models.fast import FastPath
from irl_lens.models.metacontroller import Metacontroller
from irl_lens.models.trace import encode
from irl_lens.rl.internal import InternalAgent
from irl_lens.rl.oracle import OracleControllers
from irl_lens.rl.raw import RawAgent
from irl_lens.rl.runner import RolloutRunner
from irl_lens.rl.trainer import RLJob
from irl_lens.training.codes import CodesJob
from irl_lens.training.controllers import ControllersJob
from irl_lens.training.discovery import DiscoveryJob
from irl_lens.training.pretrain import PretrainJob
from irl_lens.training.segment_starts import DiscoveredSwitches
from tests.elsewhere import elsewhere
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
    steps=2,
    batch=16,
    lr=1e-2,
)
WORLDS: dict[str, World] = {
    "discrete": make_world(
        PinpadConfig(size=4, colours=4, walls=1, horizon=20, grammar="paper-ant")
    ),
    "real": PointWorld(PointConfig(counts=True)),
}
Device = torch.device | str


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> World:
    return WORLDS[request.param]


def parts(world: World, device: Device) -> tuple[FastPath, Metacontroller]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = TrajectoryModel(SIZES, world.observation, world.actions).frozen()
        meta = Metacontroller(DISCOVERY, 16).requires_grad_(False)
    return FastPath(model.to(device)), meta.to(device)


def controllers(world: World, device: Device) -> dict[str, float]:
    config = ControllersConfig(layers=(1, 2), rank=3, batch=16, lr=1e-2)
    job = ControllersJob(config, world, parts(world, device)[0], 0)
    return {f"{i}{n}": x for i in range(2) for n, x in job.step(i).items()} | job.measure(16)


def discovery(world: World, device: Device) -> dict[str, float]:
    job = DiscoveryJob(DISCOVERY, world, parts(world, device)[0], 0)
    return {f"{i}{n}": x for i in range(2) for n, x in job.step(i).items()} | job.measure(64)


def looking_ahead(world: World, device: Device) -> dict[str, float]:
    config = replace(DISCOVERY, lookahead=3, decoder="linear", base_lr=1e-3, targets="policy")
    job = DiscoveryJob(config, world, parts(world, device)[0], 0)
    return {f"{i}{n}": x for i in range(2) for n, x in job.step(i).items()}


def codes(world: World, device: Device) -> dict[str, float]:
    base, meta = parts(world, device)
    config = CodesConfig(steps=2, history=6, hidden=8, latent=3, batch=16)
    job = CodesJob(config, world, base, DiscoveredSwitches(meta, 0.5), 0)
    return {f"{i}{n}": x for i in range(2) for n, x in job.step(i).items()} | job.measure(64)


def traced(world: World, device: Device) -> dict[str, float]:
    base, meta = parts(world, device)
    trace = encode(meta, base, world.demonstrate(8, 0), seed=0)
    return {name: float(np.abs(value).sum()) for name, value in vars(trace).items()}


def by_actions(world: World, device: Device) -> dict[str, float]:
    config = RLConfig(episodes=64, batch=32, lr=1e-2, entropy=1e-3)
    agent = RawAgent(parts(world, device)[0].model, config, world.horizon)
    return _learned(RLJob(agent, world, config, 0, "test", prefix=1))


def by_codes(world: World, device: Device) -> dict[str, float]:
    base, meta = parts(world, device)
    config = InternalRLConfig(episodes=64, batch=32, lr=1e-2, width=8)
    agent = InternalAgent(base, meta, config, world.horizon, 0)
    return _learned(RLJob(agent, world, config, 0, "test", prefix=1))


def _learned(job: RLJob) -> dict[str, float]:
    figures = {f"{i}{n}": x for i in range(2) for n, x in job.step(i).items()}
    assert any(x for name, x in figures.items() if name.endswith("kl"))  # else nothing was learned
    return figures | job.measure(8)


def told(world: World, device: Device) -> dict[str, float]:
    base, _ = parts(world, device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        bank = ControllerBank.trainable(
            LowRankController, world.subgoal_names, 16, hook_name(1), rank=2, init=0.5
        ).to(device)
    runner = RolloutRunner(base, world.horizon, OracleControllers(bank))
    played = runner.play(world.vector_env(12), 0)
    return {"actions": float(played.actions.sum()), "log_probs": float(played.log_probs.sum())}


STEPS: tuple[Callable[[World, Device], dict[str, float]], ...] = (
    *(controllers, discovery, looking_ahead, codes, traced, by_actions, by_codes, told),
)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_the_chain_runs_on_another_device(world: World, step: Callable) -> None:
    expected = step(world, "cpu")
    with elsewhere() as device:
        found = step(world, device)
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_pretraining_runs_on_another_device(optimizer) -> None:
    small = replace(
        preset("smoke"),
        world=PinpadConfig(size=4, colours=4, walls=1, horizon=20, grammar="paper-ant"),
        base=SIZES,
        pretrain=PretrainConfig(steps=2, batch=16, chunk=8, lr=1e-2, optimizer=optimizer),
    )
    jobs = [PretrainJob(small, 0)]
    expected = [jobs[0].step(i)["nll"] for i in range(2)]
    with elsewhere() as device:
        job = PretrainJob(small, 0, device)
        assert [job.step(i)["nll"] for i in range(2)] == pytest.approx(expected, rel=1e-4)


def test_two_devices_do_not_meet() -> None:
    base, _ = parts(WORLDS["real"], "cpu")
    seen = torch.from_numpy(WORLDS["real"].demonstrate(2, 0).observations)
    with elsewhere() as device:
        base.model.to(device)
        with pytest.raises(RuntimeError, match="tensors on two devices"):
            base.logits(seen)
