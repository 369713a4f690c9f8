"""Pairs where nothing can be edited: two demonstrations, or what the world makes itself."""

from __future__ import annotations

import numpy as np
import pytest

from irl_lens.analyses.patching.contrast import Setting
from irl_lens.analyses.patching.pairs import edits_of, make_pairs
from irl_lens.envs import make_world
from irl_lens.envs.contracts import EpisodePairs
from irl_lens.envs.registry import SMALL_GRID
from irl_lens.errors import UserError
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


def test_what_there_is_not_is_named() -> None:
    world = PointWorld(PointConfig())
    with pytest.raises(UserError, match="no edit 'swap'; there are demonstration in this world"):
        make_pairs(world, "swap", 2)
    with pytest.raises(UserError, match=r"0 of 2 pairs in 80 demonstrations are 31 steps or"):
        make_pairs(world, "demonstration", 2, earliest=30)
