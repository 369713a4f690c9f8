"""Shared by the training tests: a small world, a small frozen base, a run that has one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from irl_lens.config.presets import preset
from irl_lens.config.schema import BaseConfig, ControllersConfig, DiscoveryConfig, Preset
from irl_lens.envs.protocol import World
from irl_lens.envs.registry import PinpadConfig, make_world
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.fast import FastPath
from irl_lens.progress import QuietProgress
from irl_lens.runs.run import Run


@pytest.fixture(scope="session")
def small() -> Preset:
    """The smoke preset, smaller still."""
    return replace(
        preset("smoke"),
        world=PinpadConfig(size=4, colours=4, walls=1, horizon=30, grammar="paper-ant"),
        base=BaseConfig(d_model=16, n_layers=3, n_heads=2, d_mlp=24, act_fn="gelu"),
        controllers=ControllersConfig(layers=(1, 2), rank=3, steps=4, batch=12, lr=1e-2),
        discovery=DiscoveryConfig(
            layer=2,
            history=6,
            sequence=5,
            hidden=8,
            latent=3,
            decoder_hidden=6,
            rank=3,
            steps=4,
            batch=12,
            lr=1e-2,
            alpha=((0.0, 1e-3), (0.5, 0.1)),
        ),
        evaluation=replace(preset("smoke").evaluation, trajectories=20),
    )


@pytest.fixture(scope="session")
def world(small: Preset) -> World:
    return make_world(small.world)


@pytest.fixture(scope="session")
def base(small: Preset, world: World) -> FastPath:
    """An untrained frozen base."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = TrajectoryModel(small.base, world.observation, world.actions)
    return FastPath(model.frozen())


@pytest.fixture
def run(small: Preset, base: FastPath, tmp_path: Path) -> Run:
    """A run whose base stage is done."""
    run = Run.create(tmp_path / "run", small, seed=0)
    run.stage("base").finish(base.model.weights(), {})
    return run


@pytest.fixture
def quiet() -> QuietProgress:
    return QuietProgress()
