"""Planted cases: demonstrations whose observations say, or do not say, what is looked for."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pytest
import torch

import irl_lens
from irl_lens.analyses.core.switch_codes import SwitchCodes
from irl_lens.analyses.report.headline_results import LoadedRun
from irl_lens.analyses.rollouts.taskless import Field
from irl_lens.config.schema import BaseConfig, CodesConfig
from irl_lens.envs.pinpad.world import PinpadWorld
from irl_lens.envs.protocol import Floor
from irl_lens.envs.registry import PinpadConfig
from irl_lens.envs.spaces import DiscreteActions, ObservationSpec
from irl_lens.envs.trajectories import Trajectories
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.fast import FastPath
from irl_lens.models.segments import SegmentMetacontroller
from irl_lens.runs.run import Run

SUBGOALS, ACTIONS = 4, 3
Planter = Callable[[int, int, bool], Trajectories]


def _planted(n: int, seed: int, told: bool = True) -> Trajectories:
    """Random subgoals in runs of 4 steps; ``told`` puts them in the observation."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(6, 16, size=n)
    mask = np.arange(16) < lengths[:, None]
    subgoals = np.repeat(rng.integers(SUBGOALS, size=(n, 4)), 4, axis=1)
    seen = subgoals if told else rng.integers(SUBGOALS, size=subgoals.shape)
    return Trajectories(
        observations=np.where(mask, seen, 0)[..., None].astype(np.int32),
        actions=np.where(mask, rng.integers(ACTIONS, size=subgoals.shape), 0),
        policy=np.full((*mask.shape, ACTIONS), 1 / ACTIONS, np.float32),
        mask=mask,
        subgoals=np.where(mask, subgoals, -1),
        visits=np.where(mask, subgoals, -1),
        progress=np.zeros_like(subgoals),
        tasks=np.zeros(n, np.int64),
    )


def _uniform_floor(trajectories: Trajectories) -> Floor:
    """A filter that knows the subgoal and nothing of the action."""
    actions = np.full((*trajectories.mask.shape, ACTIONS), 1 / ACTIONS)
    certain = np.eye(SUBGOALS)[trajectories.subgoals] * trajectories.mask[..., None]
    known = {name: certain for name in ("subgoals", "visits", "tasks")}
    return Floor.discrete(actions, actions, trajectories, **known)


@pytest.fixture(scope="session")
def sighted() -> FastPath:
    """An untrained base that sees one of four signs."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = BaseConfig(d_model=16, n_layers=2, n_heads=2, d_mlp=16)
        spec = ObservationSpec(("sign",), (SUBGOALS,), (0,))
        return FastPath(TrajectoryModel(config, spec, DiscreteActions(ACTIONS)).frozen())


@pytest.fixture(scope="session")
def plant() -> Planter:
    """Random subgoals in runs of 4 steps; with ``told`` they are in the observation."""
    return _planted


@pytest.fixture(scope="session")
def uniform_floor() -> Callable[[Trajectories], Floor]:
    """Makes a filter that knows the subgoal and nothing of the action."""
    return _uniform_floor


@dataclass(frozen=True)
class Steered:
    """A base that walks at random by itself, and codes that are known to steer it.

    Code g is the g-th unit vector and leads straight to colour g, which is subgoal g. The
    gate opens on coloured cells.
    """

    field: Field
    meta: SegmentMetacontroller
    harvest: SwitchCodes

    def deaf(self) -> Steered:
        """The same with a decoder that does nothing."""
        meta = deepcopy(self.meta)
        meta.decoder.matrices.data.zero_()  # type: ignore[union-attr]
        return replace(self, meta=meta)


@pytest.fixture(scope="session")
def steered() -> Steered:
    """e has a feature for each colour and move that leads nearer; U(z) copies z's to logits."""
    config = PinpadConfig(size=5, colours=4, walls=0, horizon=24, grammar="paper-ant")
    world, colours, moves, width = PinpadWorld(config), 4, 4, 24
    base = BaseConfig(d_model=width, n_layers=1, n_heads=1, d_mlp=4)
    model = TrajectoryModel(base, world.observation, world.actions).frozen()
    codes = CodesConfig(layer=1, history=2, hidden=1, latent=colours)
    meta = SegmentMetacontroller(codes, width).requires_grad_(False)
    for parameter in (*model.parameters(), *meta.parameters()):
        parameter.data.zero_()
    model.hooked.ln_final.w.data.fill_(1)  # type: ignore[union-attr]
    logits, here = colours * moves, colours * moves + moves
    for colour, offset in enumerate(world.observation.offsets[:colours]):
        for row, column in product(range(-4, 5), repeat=2):
            seen = model.hooked.embed.W_E.data[offset + (row + 4) * 9 + column + 4]
            nearer = torch.tensor([row < 0, column > 0, row > 0, column < 0])
            seen[colour * moves : (colour + 1) * moves] = nearer.float()
            seen[here] = 4.0 * (row == column == 0)
        for move in range(moves):
            meta.decoder.matrices.data[colour * moves + move, colour, logits + move] = 8  # type: ignore
    model.hooked.unembed.W_U.data[logits : logits + moves] = 5 * torch.eye(moves)
    meta.switch[0].weight.data[0, here] = 1  # type: ignore
    meta.switch[0].bias.data.fill_(-1)  # type: ignore
    meta.switch[2].weight.data.fill_(10)  # type: ignore
    meta.switch[2].bias.data.fill_(-3)  # type: ignore
    labels = np.random.default_rng(0).integers(colours, size=400)
    unit = np.eye(colours, dtype=np.float32)[labels]
    harvest = SwitchCodes(unit, labels, np.arange(400) // 2)
    return Steered(Field(FastPath(model), world, 300, seed=5), meta, harvest)


@pytest.fixture(scope="session")
def small_bench() -> Callable[..., LoadedRun]:
    """Opens a run to measure on a few demonstrations only, 48 if nothing else is said."""

    def opened(run: Run, trajectories: int = 48) -> LoadedRun:
        bench = LoadedRun(run)
        bench.sizes = replace(bench.sizes, trajectories=trajectories)
        return bench

    return opened


@pytest.fixture(scope="session")
def kept_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The model in the box, its base kept twice: untrained, and after 1000 steps as it is."""
    folder = tmp_path_factory.mktemp("runs") / "kept"
    shutil.copytree(irl_lens.load("grid").folder, folder)
    run = Run.open(folder)
    world, final = run.world, run.base
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        untrained = TrajectoryModel(run.preset.base, world.observation, world.actions)
    run.stage("base").save_snapshot(0, untrained.weights())
    run.stage("base").save_snapshot(1_000, final.weights())
    return run
