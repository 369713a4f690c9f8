"""Long work of a session: at most one at a time, in a thread, with progress, to be cancelled."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock, Thread

from irl_lens.analyses.explorer.rollouts import Tick


class Cancelled(Exception):
    """The work was stopped."""


class Job:
    """One piece of work.

    Args:
        work: Does it; told whom to tell of each step.

    Attributes:
        step: How far it is.
        finished: Whether it ended, in whatever way.
        error: What went wrong, if anything did.
    """

    def __init__(self, work: Callable[[Tick], object]) -> None:
        self.step, self.finished, self.error = 0, False, ""
        self._stopped = False
        self._thread = Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """Stops it at its next step."""
        self._stopped = True

    def wait(self, seconds: float) -> bool:
        """Waits for its end; returns whether it came."""
        self._thread.join(seconds)
        return self.finished

    def _run(self, work: Callable[[Tick], object]) -> None:
        try:
            self._tick(0)
            work(self._tick)
        except Cancelled:
            self.error = "stopped"
        except ValueError as error:
            self.error = str(error)
        finally:
            self.finished = True

    def _tick(self, step: int) -> None:
        if self._stopped:
            raise Cancelled
        self.step = step


class Jobs:
    """The work of one session."""

    def __init__(self) -> None:
        self.now: Job | None = None
        self._lock = RLock()

    def start(self, work: Callable[[Tick], object]) -> Job:
        """Starts work in place of what is under way."""
        with self._lock:
            self.cancel()
            self.now = Job(work)
            return self.now

    def cancel(self) -> None:
        """Stops what is under way."""
        with self._lock:
            if self.now is not None:
                self.now.cancel()
