"""Roll-outs side by side: the episodes of a batch are shared out, each share in its own thread.

One step of a batch is many short operations, on which several processor cores get in each
other's way. Episodes do not depend on one another, so each share is played from its first step
to its last on one core. How many shares there are does not depend on how many cores there are,
and neither does what comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from irl_lens.envs.protocol import VectorWorld
from irl_lens.rl.recorder import Rollout
from irl_lens.rl.runner import RolloutRunner
from irl_lens.training.parallel import in_threads

SHARE = 512
"""Most episodes of a share: fewer would spend more of the time between operations."""


class ParallelRollouts:
    """Runners of one model and hook, each with environments of its own.

    Args:
        runner: The runner; every share has a twin of it.
        make_env: Makes a vector environment of so many rows that end and stay put.
        episodes: Episodes of a batch.
    """

    def __init__(
        self, runner: RolloutRunner, make_env: Callable[[int], VectorWorld], episodes: int
    ) -> None:
        shares = [min(SHARE, episodes - first) for first in range(0, episodes, SHARE)]
        self._shares = [(runner.twin(), make_env(share)) for share in shares]

    def __len__(self) -> int:
        return len(self._shares)

    def play(self, seeds: Sequence[int]) -> Rollout:
        """Plays one episode in each row.

        Args:
            seeds: One for each runner, see :meth:`irl_lens.rl.runner.RolloutRunner.play`.
        """
        pairs = zip(self._shares, seeds, strict=True)
        return Rollout.join(
            in_threads([partial(runner.play, env, seed) for (runner, env), seed in pairs])
        )
