"""Streams of expert trajectories: fresh boards at every step, a function of (seed, index).

Nothing is stored and nothing repeats: batch ``i`` of a purpose is drawn from the random
stream ``(seed, purpose, i)``, so training resumes exactly from its step number alone.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from irl_lens.envs.protocol import World
from irl_lens.envs.trajectories import Trajectories


def stream_seed(seed: int, purpose: str, index: int) -> tuple[int, int, int]:
    """Seed of draw ``index`` for ``purpose``; different purposes never share boards."""
    return seed, zlib.crc32(purpose.encode()), index


@dataclass(frozen=True)
class Demonstrations:
    """An endless, indexable stream of expert trajectories.

    Attributes:
        world: Where they are played.
        seed: The run's seed.
        purpose: What they are for, such as ``"base"`` or ``"evaluation"``.
        batch: Trajectories a draw.
        epsilon: Probability that the expert takes a random harmless action.
    """

    world: World
    seed: int
    purpose: str
    batch: int
    epsilon: float = 0.0

    def __getitem__(self, index: int) -> Trajectories:
        """Draws batch ``index``; the same index gives the same batch."""
        seed = stream_seed(self.seed, self.purpose, index)
        return self.world.demonstrate(self.batch, seed, epsilon=self.epsilon)
