"""Tiny real parts, and a planted world in which the right codes are known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from irl_lens.config.schema import BaseConfig, DiscoveryConfig
from irl_lens.envs.protocol import Floor, Seed, World
from irl_lens.envs.registry import PinpadConfig, make_world
from irl_lens.envs.spaces import DiscreteActions, ObservationSpec
from irl_lens.envs.trajectories import Trajectories
from irl_lens.hooks import HypernetworkDecoder
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.fast import FastPath
from irl_lens.models.metacontroller import Metacontroller
from irl_lens.models.policy import GaussianNetwork, LatentPolicy

DISCOVERY = DiscoveryConfig(
    layer=1, history=8, sequence=8, hidden=8, latent=3, decoder_hidden=8, rank=2
)


@dataclass(frozen=True)
class Parts:
    """A world, a frozen base on it, a metacontroller whose gate opens now and then."""

    world: World
    fast: FastPath
    meta: Metacontroller

    def policy(self, width: int = 16, std: float = 2.0) -> LatentPolicy:
        """Returns a policy with fresh, always equal, weights."""
        torch.manual_seed(7)
        return LatentPolicy(GaussianNetwork(self.fast.model.d_model, 3, width, std), self.meta)


@pytest.fixture
def parts() -> Parts:
    """The smallest real chain."""
    torch.manual_seed(0)
    config = PinpadConfig(size=5, colours=4, walls=2, horizon=24, grammar="paper-ant")
    world = make_world(config)
    base = BaseConfig(d_model=16, n_layers=2, n_heads=2, d_mlp=16)
    model = TrajectoryModel(base, world.observation, world.actions).frozen()
    meta = Metacontroller(DISCOVERY, model.d_model).requires_grad_(False)
    # Larger weights than at initialisation, so that the gate opens and codes matter.
    for parameter in meta.switch.parameters():
        parameter *= 4
    assert isinstance(meta.decoder, HypernetworkDecoder)
    meta.decoder.write.weight *= 5
    return Parts(world, FastPath(model), meta)


class PlantedWorld:
    """Every board shows one of two signs; three actions in a row must equal the sign."""

    horizon = 3
    observation = ObservationSpec(("sign",), (2,), (0,))
    actions = DiscreteActions(2)
    subgoal_names = visit_names = ("0", "1")
    heldout_subgoals = (0,)

    def demonstrate(self, n: int, seed: Seed, epsilon: float = 0.0) -> Trajectories:
        """There is no expert here."""
        raise NotImplementedError

    def floor(self, trajectories: Trajectories, epsilon: float = 0.0) -> Floor:
        """There are no demonstrations here."""
        raise NotImplementedError

    def vector_env(self, n: int, *, prefix: int | None = None, solvable: bool = True) -> PlantedEnv:
        """Returns ``n`` boards."""
        return PlantedEnv(n)


class PlantedEnv:
    """See :class:`PlantedWorld`."""

    observation, actions = PlantedWorld.observation, PlantedWorld.actions

    def __init__(self, n: int) -> None:
        self.num_envs = n

    def reset(self, *, seed: int) -> tuple[np.ndarray, dict[str, Any]]:
        self.sign = np.random.default_rng(seed).integers(2, size=self.num_envs)
        self.progress = np.zeros(self.num_envs, np.int64)
        self.over = np.zeros(self.num_envs, bool)
        return self._observe()

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, Any, Any, Any, dict[str, Any]]:
        right = (actions == self.sign) & ~self.over
        self.progress += right
        reward = (right & (self.progress == 3)).astype(float)
        self.over = self.over | ~right | (self.progress == 3)
        observation, info = self._observe()
        return observation, reward, self.over, np.zeros_like(self.over), info

    def _observe(self) -> tuple[np.ndarray, dict[str, Any]]:
        label = np.where(self.progress == 3, -1, self.sign)
        solvable = np.ones(self.num_envs, bool)
        labels = {"subgoal": label, "visit": label, "progress": self.progress.copy()}
        return self.sign[:, None].astype(np.int32), {**labels, "solvable": solvable}


@dataclass(frozen=True)
class Planted:
    """A base that does nothing by itself, and codes whose first sign is the action."""

    world: PlantedWorld
    fast: FastPath
    meta: Metacontroller


@pytest.fixture
def planted() -> Planted:
    """Control at the last block: e = (1, +-1, 0, 0), U(z) e = 8 relu(+-z_1) on axes 2, 3."""
    world = PlantedWorld()
    base = BaseConfig(d_model=4, n_layers=1, n_heads=1, d_mlp=4)
    model = TrajectoryModel(base, world.observation, world.actions).frozen()
    config = replace(DISCOVERY, latent=2, decoder_hidden=2, rank=1)
    meta = Metacontroller(config, model.d_model).requires_grad_(False)
    for parameter in (*model.hooked.blocks.parameters(), *meta.parameters()):
        parameter.zero_()
    model.hooked.embed.W_E.copy_(torch.tensor([[1.0, 1, 0, 0], [1.0, -1, 0, 0]]))
    model.hooked.unembed.W_U.copy_(torch.tensor([[0.0, 0], [0, 0], [5, 0], [0, 5]]))
    model.hooked.unembed.b_U.zero_()
    assert isinstance(meta.decoder, HypernetworkDecoder)
    meta.switch.out.bias.fill_(-5)  # opens at the first step only
    meta.decoder.hidden.weight.copy_(torch.tensor([[1.0, 0], [-1, 0]]))
    meta.decoder.read.bias.copy_(torch.tensor([1.0, 0, 0, 0]))
    meta.decoder.write.weight.copy_(torch.tensor([[0.0, 0], [0, 0], [8, 0], [0, 8]]))
    return Planted(world, FastPath(model), meta)
