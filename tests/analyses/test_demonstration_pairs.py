"""Pairs where nothing can be edited: two demonstrations, or what the world makes itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from irl_lens.analyses.patching.contrast import Setting
from irl_lens.analyses.patching.metrics import Way, difference, measured, readout_of
from irl_lens.analyses.patching.pairs import edits_of, make_pairs
from irl_lens.config.schema import BaseConfig
from irl_lens.envs import make_world
from irl_lens.envs.contracts import EpisodePairs
from irl_lens.envs.protocol import Seed
from irl_lens.envs.registry import SMALL_GRID
from irl_lens.errors import UserError
from irl_lens.models.base import TrajectoryModel
from tests.point_world import PointConfig, PointWorld


class PairedWorld(PointWorld):
    """Points that start elsewhere."""

    edits = ("mirrored",)

    def pairs(self, edit: str, n: int, seed: int, earliest: int) -> EpisodePairs:
        """Mirrors every coordinate."""
        shown = self.demonstrate(n, seed)
        decisions = np.full(n, earliest)
        seen = shown.observations[:, : earliest + 1]
        return EpisodePairs(seen, -seen, decisions, ("mirrored",) * n)


def test_the_usual_edit_is_the_world_s_own() -> None:
    worlds = make_world(SMALL_GRID), PairedWorld(PointConfig()), PointWorld(PointConfig())
    assert [Setting().within(world).edit for world in worlds] == [
        "swap",
        "mirrored",
        "demonstration",
    ]
    assert Setting("move").within(worlds[0]).edit == "move"
    assert edits_of(worlds[0])[-1] == "demonstration"


def test_two_demonstrations_are_compared_where_the_expert_acts_otherwise() -> None:
    world = make_world(SMALL_GRID)
    pairs = make_pairs(world, "demonstration", 12, seed=4, earliest=2)
    assert len(pairs) == 12 and (pairs.decisions >= 2).all()
    rows = np.arange(12)
    ends = pairs.clean[rows, pairs.decisions], pairs.corrupted[rows, pairs.decisions]
    assert (ends[0] != ends[1]).any(axis=1).all()
    again = make_pairs(world, "demonstration", 12, seed=4, earliest=2)
    np.testing.assert_array_equal(again.corrupted, pairs.corrupted)
    assert "another demonstration, at step" in pairs.changes[0]


def test_pairs_of_a_world_without_labels() -> None:
    world = PointWorld(PointConfig(labelled=False))
    pairs = make_pairs(world, "demonstration", 6, earliest=1)
    assert pairs.clean.dtype == np.float32 and pairs.clean.shape == pairs.corrupted.shape


def test_a_world_s_own_pairs_are_taken_as_they_are() -> None:
    pairs = make_pairs(PairedWorld(PointConfig()), "mirrored", 5, seed=1, earliest=2)
    np.testing.assert_array_equal(pairs.clean, -pairs.corrupted)
    assert pairs.edit == "mirrored" and pairs.decisions.tolist() == [2] * 5


class RecordedWorld(PointWorld):
    """As many demonstrations to test on as it is told to have."""

    has_recorded, count = True, 11

    def recorded(self, n: int, seed: Seed, part: str = "train", epsilon: float = 0.0):
        """Returns all of them in a new order."""
        shown = self.demonstrate(self.count, 0)
        return shown.rows(np.random.default_rng(seed).permutation(self.count)[:n])


def test_of_recorded_demonstrations_there_are_so_many_pairs_and_each_is_in_one() -> None:
    world = RecordedWorld(PointConfig())
    setting = Setting(lags=2).within(world)
    assert (setting.pairs, setting.pool) == (5, 1)  # of 32 of 128
    pairs = setting.made(world)
    ends = np.concatenate([pairs.clean, pairs.corrupted])[:, 0]
    assert len(pairs) == 5 and len(np.unique(ends, axis=0)) == 10
    assert (Setting(pairs=2, pool=2, lags=2).within(world).pairs, setting.edit) == (
        2,
        "demonstration",
    )
    world.count = 3
    with pytest.raises(UserError, match=r"3 of the 3 demonstrations .* take 4; record more$"):
        Setting(lags=2).within(world)
    world.count = 9
    with pytest.raises(UserError, match=r"0 of the 9 demonstrations .* or ask for \d lags at most"):
        Setting(lags=17).within(world)


def test_real_actions_are_compared_by_their_means() -> None:
    world = PointWorld(PointConfig())
    assert Setting().within(world).metric == "mean action"
    clean, corrupted = torch.tensor([[3.0, 0.0, 9.0, 9.0]]), torch.tensor([[0.0, 4.0, 0.0, 5.0]])
    way = readout_of(clean, corrupted, world.actions)
    assert isinstance(way, Way)
    torch.testing.assert_close(way.along, torch.tensor([[0.6, -0.8, 0, 0]]))
    ends = [measured("mean action", end, way).item() for end in (clean, corrupted)]
    assert ends == pytest.approx([1.8, -3.2])  # |3, -4| apart
    aside = corrupted + torch.tensor([[0.8, 0.6, 7.0, 7.0]])  # across, and deviations
    assert difference(aside, way).item() == pytest.approx(-3.2)
    with pytest.raises(UserError, match="no metric 'kl'; there are mean action of actions of 2"):
        with torch.random.fork_rng():
            base = TrajectoryModel(BaseConfig(8, 1, 1, 8), world.observation, world.actions)
        Setting(metric="kl", pairs=2, lags=1).contrast(world, base.hooked)


def test_what_there_is_not_is_named() -> None:
    world = PointWorld(PointConfig())
    with pytest.raises(UserError, match="no edit 'swap'; there are demonstration in this world"):
        make_pairs(world, "swap", 2)
    with pytest.raises(UserError, match=r"0 of 2 pairs in 80 demonstrations are 31 steps or"):
        make_pairs(world, "demonstration", 2, earliest=30)
