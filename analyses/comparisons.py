"""The analyses of a set of runs that ``irl-lens compare`` knows by name.

Each is a plain function over runs, told of its progress, with options that have defaults. A
set of one run is one, too. It is imported only when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from irl_lens.analyses.core.lookup import look_up
from irl_lens.analyses.core.result import Result, write
from irl_lens.progress import Progress
from irl_lens.runs.run import Run


@dataclass(frozen=True)
class Comparison:
    """One analysis of a set of runs.

    Attributes:
        where: Its function, as ``module:name``.
        title: What it shows, in a few words.
        scanned: Whether a scan tries it: not if a single run says nothing.
    """

    where: str
    title: str
    scanned: bool = True

    def __call__(
        self, runs: Sequence[Run], progress: Progress | None = None, **options: Any
    ) -> Result:
        """Runs it."""
        function: Callable[..., Result] = resolve_name(self.where)
        return function(runs, progress, **options)


COMPARISONS: dict[str, Comparison] = {
    "control-depth": Comparison(
        "irl_lens.analyses.control.by_depth:control_by_depth",
        "Supervised controllers by depth of the base",
        scanned=False,
    ),
    "control-ranks": Comparison(
        "irl_lens.analyses.control.by_rank:control_by_rank",
        "How large a controller must be: vectors and ranks",
        scanned=False,
    ),
    "learning": Comparison(
        "irl_lens.analyses.learning.compare_methods:learning_set",
        "Reinforcement learning: curves by method and seed, sample efficiency",
    ),
    "rate-distortion": Comparison(
        "irl_lens.analyses.codes.rate_distortion:rate_distortion",
        "Discovery over alpha and seeds: what codes cost, what they buy, when they switch",
        scanned=False,
    ),
}


def comparison(name: str) -> Comparison:
    """Looks an analysis of a set of runs up; see :func:`irl_lens.analyses.core.lookup.look_up`."""
    return look_up(COMPARISONS, name, " of a set of runs")


def write_comparison(
    name: str, runs: Sequence[Run], folder: Path | None, progress: Progress
) -> Result:
    """Runs an analysis of a set of runs and writes its files; see :func:`result.write`.

    Args:
        name: Of the analysis.
        runs: The runs.
        folder: Where to write, if it is to be written.
        progress: Told of what is done.
    """
    wanted = comparison(name)
    result = wanted(runs, progress)
    if folder is not None:
        write(result, folder / name, wanted.title)
    return result
