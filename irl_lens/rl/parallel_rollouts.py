"""Roll-outs side by side: the episodes of a batch are shared out, each share in its own thread.

One step of a batch is many short operations, on which several processor cores get in each
other's way. Episodes do not depend on one another, so each share is played from its first step
to its last on one core. How many shares there are does not depend on how many cores or processes
there are, and neither does what comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from irl_lens.envs.protocol import VectorWorld
from irl_lens.processes import own_rows
from irl_lens.rl.recorder import Rollout
from irl_lens.rl.runner import RolloutRunner
from irl_lens.training.parallel import in_threads


class ParallelRollouts:
    """Runners of one model and hook, each with environments of its own.

    Args:
        runner: The runner; every share has a twin of it.
        make_env: Makes a vector environment of so many rows that end and stay put.
        episodes: Episodes of a batch.
        share: Most episodes of a share.
        apart: Play only those shares that fall to this process, of all that train together.

    Attributes:
        index: Which episodes of the batch are played here.
    """

    def __init__(
        self,
        runner: RolloutRunner,
        make_env: Callable[[int], VectorWorld],
        episodes: int,
        share: int = 512,
        apart: bool = False,
    ) -> None:
        shares = np.split(np.arange(episodes), range(share, episodes, share))
        self._count = len(shares)
        self._own = own_rows(self._count) if apart else slice(None)
        self.index = np.concatenate(shares[self._own])
        self._shares = [(runner.twin(), make_env(len(rows))) for rows in shares[self._own]]

    def __len__(self) -> int:
        return self._count

    def play(self, seeds: Sequence[int]) -> Rollout:
        """Plays one episode in each row.

        Args:
            seeds: One for each share of the batch, see
                :meth:`irl_lens.rl.runner.RolloutRunner.play`.
        """
        pairs = zip(self._shares, seeds[self._own], strict=True)
        return Rollout.join(
            in_threads([partial(runner.play, env, seed) for (runner, env), seed in pairs])
        )
