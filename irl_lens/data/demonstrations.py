"""Streams of expert trajectories: fresh boards at every step, a function of (seed, index).

Batch ``i`` of a purpose is drawn from the random stream ``(seed, purpose, i)``, so training resumes
exactly from its step number alone. Nothing is stored and nothing repeats, but where a world has
recorded demonstrations only: of those, what is measured on was not trained on.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal

from irl_lens.envs.contracts import Recorded
from irl_lens.envs.protocol import World
from irl_lens.envs.trajectories import Trajectories


def stream_seed(seed: int, purpose: str, index: int) -> tuple[int, int, int]:
    """Seed of draw ``index`` for ``purpose``; different purposes never share boards."""
    return seed, zlib.crc32(purpose.encode()), index


TRAINED = (
    *("base", "controllers", "discovery", "switches", "switches-threshold", "compile"),
    *("codes", "codes-threshold", "codes-level", "internal-rl-codes"),
)
"""Purposes of what weights are trained on."""
FITTED = ("analysis-fit", "explorer-codes", "explorer-probes")
"""Purposes of what probes and the like are fitted on."""


def part_of(purpose: str) -> Literal["train", "fit", "test"]:
    """Which part of recorded demonstrations a purpose has; parts share nothing."""
    return "train" if purpose in TRAINED else "fit" if purpose in FITTED else "test"


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
        if isinstance(self.world, Recorded) and self.world.has_recorded:
            return self.world.recorded(self.batch, seed, part_of(self.purpose), self.epsilon)
        return self.world.demonstrate(self.batch, seed, epsilon=self.epsilon)
