"""Ants go astray as often and for as long as it says, and never where an episode would end."""

from __future__ import annotations

import numpy as np

from irl_lens.envs.ant.arena import Arena
from irl_lens.envs.ant.straying import STEPS, Straying

WIDE = Arena(4, 100.0)  # nothing is ever near


def led(straying: Straying, n: int, steps: int) -> np.ndarray:
    """Directions of ants that stand in the middle of a free cell; nan of those on their way."""
    rng, place = np.random.default_rng(0), WIDE.centres[[10]].repeat(n, axis=0)
    found = np.full((steps, n), np.nan)
    for step in range(steps):
        astray, ways = straying.commands(np.arange(n), place, np.zeros((n, 2)), rng)
        found[step, astray] = ways
    return found


def test_how_often_and_how_long() -> None:
    n = 2_000
    found = led(Straying(WIDE, np.tile(np.arange(5), (n, 1)), 0.05), n, 200)
    astray = ~np.isnan(found)
    assert not astray[0].all() and 0.03 < astray[0].mean() < 0.07
    share = 0.05 / (0.05 + 1 / STEPS)
    np.testing.assert_allclose(astray[100:].mean(), share, atol=0.02)
    kept = (found[1:] == found[:-1])[astray[:-1]]
    np.testing.assert_allclose(kept.mean(), 1 - 1 / STEPS, atol=0.01)
    begun = found[1:][astray[1:] & ~astray[:-1]]
    assert abs(np.exp(1j * begun).mean()) < 0.05  # any direction


def test_nobody_is_led_to_what_ends_episodes() -> None:
    arena, n = Arena(4, 1.5), 4_000
    rng = np.random.default_rng(0)
    objects = np.tile([5, 6, 9, 12, 3], (n, 1))
    places, straying = arena.centres[[10]].repeat(n, axis=0), Straying(arena, objects, 1.0)
    still = np.zeros((n, 2))
    astray, ways = straying.commands(np.arange(n), places, still, rng)
    ahead = places[astray] + 0.5 * np.stack([np.cos(ways), np.sin(ways)], axis=1)
    assert astray.mean() > 0.9 and not np.isin(arena.cells(ahead), objects[0]).any()
    # At 2 m/s to the north, on the way to cell 6, all are on their own again.
    fast = still + np.array([0, 2.0])
    astray, _ = straying.commands(np.arange(n), places, fast, rng)
    assert not astray.any()
    # And so is who is about to leave the arena.
    outside = arena.centres[[14]].repeat(n, axis=0)
    astray, _ = straying.commands(np.arange(n), outside, still - np.array([0, 2.0]), rng)
    assert not astray.any()
