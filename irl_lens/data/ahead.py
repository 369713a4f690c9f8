"""Demonstrations made ahead: while one batch is trained on, a thread plays the next.

Where the expert's play takes as long as a training step, as on a body with physics, two processors
then do both at once. Batch ``i`` is a function of the stream and of ``i`` alone, so that it does
not matter which thread makes it, or when.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from irl_lens.data.demonstrations import Demonstrations
from irl_lens.envs.trajectories import Trajectories


class AheadDemonstrations:
    """A stream that is best read in order.

    Args:
        stream: What to read.
        end: Index that is not read any more: nothing is made beyond it.
    """

    def __init__(self, stream: Demonstrations, end: int) -> None:
        self._stream, self._end = stream, end
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="demonstrations")
        self._next: tuple[int, Future[Trajectories]] | None = None

    def __getitem__(self, index: int) -> Trajectories:
        """Returns batch ``index``, and has the next one made."""
        made, self._next = self._next, None
        batch = made[1].result() if made and made[0] == index else self._stream[index]
        if index + 1 < self._end:
            self._next = index + 1, self._thread.submit(self._stream.__getitem__, index + 1)
        return batch
