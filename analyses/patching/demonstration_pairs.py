"""Pairs of two demonstrations: what patching compares in a world where nothing can be edited.

The clean and the corrupted episode are two that the expert was seen in, at other tasks or in
other surroundings. Both are compared at one step, one at which the expert does not do the same if
there is such a step. As nearly everything differs between them, an effect says that a site
carries what the action depends on, and not what exactly.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from irl_lens.data.demonstrations import Demonstrations
from irl_lens.envs.contracts import EpisodePairs, has_recorded
from irl_lens.envs.protocol import World
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import UserError

MOST = 100_000
"""Recorded demonstrations that are looked at."""
BATCHES = 20
"""Batches of demonstrations looked through before it is given up."""


def demonstration_pairs(world: World, n: int, seed: int, earliest: int) -> EpisodePairs:
    """Pairs demonstrations.

    Args:
        world: Where they are played.
        n: Number of pairs.
        seed: Seed of the demonstrations and of the steps.
        earliest: Step before which none is compared.

    Raises:
        UserError: Too few demonstrations are that long. Of recorded ones two pairs are enough:
            each is in one pair only, so that pairs are independent.
    """
    rng = np.random.default_rng(seed)
    if has_recorded(world):
        return _of_recorded(world, n, seed, earliest, rng)
    stream, found = Demonstrations(world, seed, "analysis-pairs-demonstrations", 2 * n), []
    for batch in range(BATCHES):
        shown = stream[batch]
        found += [(shown, *pair) for pair in _paired(shown, earliest, rng)]
        if len(found) >= n:
            return _stacked(found[:n])
    raise UserError(
        f"{len(found)} of {n} pairs in {2 * BATCHES * n} demonstrations are {earliest + 1} steps "
        "or longer; ask for fewer pairs, or for fewer lags"
    )


def _of_recorded(
    world: World, n: int, seed: int, earliest: int, rng: np.random.Generator
) -> EpisodePairs:
    """Pairs of at most all demonstrations that are recorded to test on."""
    shown = Demonstrations(world, seed, "analysis-pairs-demonstrations", MOST)[0]
    long = np.flatnonzero(shown.lengths > earliest)
    if len(long) < 4:
        most = np.sort(shown.lengths)[-4] if len(shown) >= 4 else 0
        raise UserError(
            f"{len(long)} of the {len(shown)} demonstrations recorded to test on are "
            f"{earliest + 1} steps or longer, and two pairs take 4; record more"
            + f", or ask for {most} lags at most"
            * bool(most)
        )
    shown = shown.rows(long)
    return _stacked([(shown, *pair) for pair in _paired(shown, earliest, rng)][:n])


def _paired(
    shown: Trajectories, earliest: int, rng: np.random.Generator
) -> Iterator[tuple[int, int, int]]:
    """Yields the rows of pairs and the step that they are compared at."""
    actions = shown.actions.reshape(*shown.mask.shape, -1)
    for one in range(0, len(shown) - 1, 2):
        both = shown.mask[one] & shown.mask[one + 1]
        both[:earliest] = False
        other = both & (actions[one] != actions[one + 1]).any(axis=1)
        if both.any():
            yield one, one + 1, int(rng.choice(np.flatnonzero(other if other.any() else both)))


def _stacked(found: list[tuple[Trajectories, int, int, int]]) -> EpisodePairs:
    """Cuts after the last decision; what is shorter stays on its last step."""
    decisions = np.array([step for *_, step in found])
    steps = np.arange(decisions.max() + 1)

    def seen(shown: Trajectories, row: int) -> np.ndarray:
        return shown.observations[row, np.minimum(steps, shown.lengths[row] - 1)]

    return EpisodePairs(
        np.stack([seen(shown, one) for shown, one, _, _ in found]),
        np.stack([seen(shown, other) for shown, _, other, _ in found]),
        decisions,
        tuple(f"another demonstration, at step {step}" for step in decisions),
    )
