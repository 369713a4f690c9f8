"""Long work of a session: one of each kind, in a thread, with progress, to be cancelled."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock, Thread

from irl_lens.analyses.explorer.patching import Tick
from irl_lens.errors import UserError

PATIENCE = 0.35
"""Seconds that a view waits for work before it shows its progress [s]."""


class Cancelled(Exception):
    """The work was stopped."""


class Job:
    """One piece of work.

    Args:
        kind: What it does, in a word or two.
        work: Does it; told whom to tell of each step.
        most: How many steps it has at most.
        about: What it is done for; the same again is the same work.
        changes: Whether it changes the state that it is done for.

    Attributes:
        step: How far it is.
        finished: Whether it ended, in whatever way.
        error: What went wrong, if anything did.
    """

    def __init__(
        self,
        kind: str,
        work: Callable[[Tick], object],
        most: int = 1,
        about: object = None,
        changes: bool = False,
    ) -> None:
        self.kind, self.most, self.about, self.changes = kind, most, about, changes
        self.step, self.finished, self.error = 0, False, ""
        self._stopped = False
        self._thread = Thread(target=self._run, args=(work,), daemon=True)

    def __str__(self) -> str:
        return f"{self.kind}: step {self.step} of at most {self.most}"

    @property
    def stopped(self) -> bool:
        """Whether it was stopped before its end."""
        return self.error == "stopped"

    def start(self) -> None:
        """Begins."""
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
    """The work of one session.

    What ended is counted, and not told once: answers may get lost on their way to a page.

    Attributes:
        count: How many pieces of work came to their end, but for those that were stopped, or
            were waited for.
        changed: The count when one last changed the state.
        said: What went wrong with the last, if anything did.
    """

    def __init__(self) -> None:
        self.count, self.changed, self.said = 0, 0, ""
        self._jobs: dict[str, Job] = {}
        self._begun: list[Job] = []
        self._lock = RLock()

    def start(self, job: Job) -> Job:
        """Starts work in place of that of its kind, or returns the same if it is under way."""
        with self._lock:
            now = self._jobs.get(job.kind)
            if now is not None and not now.finished:
                if now.about is not None and now.about == job.about:
                    return now
                now.cancel()
            self._jobs[job.kind], self.said = job, ""
            job.start()
            # Those that were stopped for another one may take a moment to stop.
            self._begun = [*(begun for begun in self._begun if not begun.finished), job]
            return job

    def done(self, job: Job, seconds: float = PATIENCE) -> bool:
        """Starts work and waits a moment; returns whether it is done.

        Raises:
            UserError: It cannot be.
        """
        job = self.start(job)
        if not job.wait(seconds) or job.stopped:
            return False
        with self._lock:
            if self._jobs.get(job.kind) is job:
                del self._jobs[job.kind]
        if job.error:
            raise UserError(job.error)
        return True

    def running(self) -> list[Job]:
        """What is under way."""
        with self._lock:
            return [job for job in self._jobs.values() if not job.finished]

    def collect(self) -> None:
        """Counts what ended."""
        with self._lock:
            for job in [job for job in self._jobs.values() if job.finished]:
                del self._jobs[job.kind]
                self.said = job.error
                self.count += not job.stopped
                if job.changes and not job.error:
                    self.changed = self.count

    def wait(self, seconds: float) -> None:
        """Waits for all work to end, so long for each piece."""
        for job in self._begun:
            job.wait(seconds)

    def cancel(self) -> None:
        """Stops what is under way."""
        for job in self.running():
            job.cancel()
