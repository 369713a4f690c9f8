"""Analyses that are asked for by name: run, and written with what they were made with."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from pkgutil import resolve_name

from irl_lens.analyses.core.analysis import Analysis
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.options import Given
from irl_lens.analyses.core.result import PAGE, Result
from irl_lens.analyses.figures.files import FigureFiles
from irl_lens.analyses.registry import ANALYSES, analysis
from irl_lens.envs.contracts import require
from irl_lens.errors import UserError
from irl_lens.files.targets import require_writable
from irl_lens.progress import Progress, QuietProgress
from irl_lens.runs.run import Run


def analyze(
    run: Run,
    names: Sequence[str],
    options: Given = (),
    *,
    against: Run | None = None,
    folder: Path | None = None,
    files: FigureFiles = PAGE,
    progress: Progress | None = None,
) -> dict[str, Result]:
    """Analyses a run.

    Args:
        run: The run.
        names: Names of analyses of one run.
        options: For each of them; see :mod:`irl_lens.analyses.core.options`.
        against: A run that this one is compared with: what differs is called NAME-against.
        folder: Where each result is written as soon as it is there
            (:func:`irl_lens.analyses.core.result.write`); nowhere if not given.
        files: What figures are written as.
        progress: Told of every analysis.

    Returns:
        The results by name.

    Raises:
        UserError: There is no such analysis or option, a stage that is needed is not finished,
            the world lacks what is asked for, or two runs cannot be compared so. Nothing is run
            then.
    """
    runs, progress = [run] if against is None else [run, against], progress or QuietProgress()
    wanted = [analysis(name) for name in dict.fromkeys(names)]
    values = [one.options(options) for one in wanted]
    for one, needed in product(wanted, runs):
        _check(one, needed, alone=against is None)
    if folder:
        for one in wanted:
            require_writable(folder / f"{one.name}.json")
    progress.stage("analyses", len(wanted))
    parts, results = [LoadedRun(each) for each in runs], {}
    for done, (one, value) in enumerate(zip(wanted, values, strict=True), start=1):
        found, name = [one.of(loaded, **value) for loaded in parts], one.name
        if one.against and against is not None:
            found, name = [resolve_name(one.against)(*found)], f"{name}-against"
        results[name] = found[0]
        if folder:
            one.write(found[0], folder / name, runs, value, files)
        progress.update(done)
    return results


def compare(
    name: str,
    runs: Sequence[Run],
    options: Given = (),
    *,
    folder: Path | None = None,
    files: FigureFiles = PAGE,
    progress: Progress | None = None,
) -> Result:
    """Analyses several runs.

    Args:
        name: Name of an analysis of several runs.
        runs: The runs.
        options: See :mod:`irl_lens.analyses.core.options`.
        folder: Where the result is written; nowhere if not given.
        files: What its figure is written as.
        progress: Told of what is done.

    Raises:
        UserError: There is no such analysis or option, or it cannot be made of these runs.
    """
    wanted = analysis(name, several=True)
    values = wanted.options(options)
    for run in runs:
        require(run.world, wanted.asks, name)
    if folder:
        require_writable(folder / f"{name}.json")
    result = wanted.of_several(runs, progress, **values)
    if folder:
        wanted.write(result, folder / name, runs, values, files)
    return result


def _check(wanted: Analysis, run: Run, alone: bool) -> None:
    wanted.check(run)
    if not alone and not wanted.against:
        known = ", ".join(name for name, one in ANALYSES.items() if one.against)
        raise UserError(f"{wanted.name} holds no two runs against each other; {known} do")
