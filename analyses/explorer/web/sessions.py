"""Sessions of one server: each its own state, a bounded number, the longest unused go first."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from threading import RLock

from irl_lens.analyses.explorer.session import Explorer
from irl_lens.analyses.explorer.web.jobs import Job, Jobs
from irl_lens.analyses.explorer.workbench import Workbench
from irl_lens.errors import UserError
from irl_lens.runs.folder import bundled_names
from irl_lens.runs.run import Run, find_run

MOST, BENCHES = 64, 3
"""Sessions, and runs, that are kept."""


class Sessions:
    """Sessions by key, and the runs that they are of.

    Args:
        run: The run that is opened first; those in its folder's folder can be switched to.
        most: How many sessions are kept.

    Attributes:
        atlases: The work on atlases by name of the run.
    """

    def __init__(self, run: Run, most: int = MOST) -> None:
        self.first, self.most, self.lock = run, most, RLock()
        self._benches: OrderedDict[str, Workbench] = OrderedDict()
        self._sessions: OrderedDict[str, tuple[Explorer, Jobs]] = OrderedDict()
        self.atlases: dict[str, Job] = {}
        self.workbench(name_of(run))

    def __len__(self) -> int:
        return len(self._sessions)

    def runs(self) -> dict[str, str]:
        """What can be opened: name to show by what :func:`find_run` takes."""
        found = {name: name for name in bundled_names()}
        if not self.first.bundled:
            folders = sorted(self.first.folder.resolve().parent.glob("*/config.json"))
            found |= {str(path.parent): path.parent.name for path in folders}
        return found

    def workbench(self, name: str) -> Workbench:
        """The run of a name, loaded once.

        Raises:
            UserError: It is not one of :meth:`runs`.
        """
        with self.lock:
            if name not in self.runs():
                raise UserError(f"no run {name!r} here; there are {', '.join(self.runs())}")
            if name not in self._benches:
                self._benches[name] = Workbench(find_run(name).on(self.first.device))
                while len(self._benches) > BENCHES:
                    self._benches.popitem(last=False)
            self._benches.move_to_end(name)
            return self._benches[name]

    def new(self, name: str | None = None) -> str:
        """Begins a session; returns its key, which nobody can guess."""
        explorer = Explorer(self.workbench(name or name_of(self.first)))
        key = secrets.token_urlsafe(16)
        with self.lock:
            self._sessions[key] = explorer, Jobs()
            while len(self._sessions) > self.most:
                _, (_, jobs) = self._sessions.popitem(last=False)
                jobs.cancel()
        return key

    def make_atlas(self, name: str, job: Job) -> None:
        """Begins to make the atlas of a run, unless that is under way."""
        with self.lock:
            now = self.atlases.get(name)
            if now is None or now.finished:
                self.atlases[name] = job
                job.start()

    def close(self, seconds: float) -> None:
        """Ends all sessions; waits for their long work to stop at its next step.

        Args:
            seconds: How long to wait for each piece of it.
        """
        with self.lock:
            works = [jobs for _, jobs in self._sessions.values()]
            self._sessions.clear()
            atlases = list(self.atlases.values())
        for jobs in works:
            jobs.cancel()
        for jobs in (*works, *atlases):
            jobs.wait(seconds)

    def get(self, key: object) -> tuple[Explorer, Jobs]:
        """Returns a session and its long work.

        Raises:
            UserError: It is not there, or not any more.
        """
        with self.lock:
            if not isinstance(key, str) or key not in self._sessions:
                raise UserError(f"this session is closed ({self.most} are kept); reload the page")
            self._sessions.move_to_end(key)
            return self._sessions[key]


def name_of(run: Run) -> str:
    """What :func:`find_run` finds a run by."""
    return run.folder.name if run.bundled else str(run.folder.resolve())
