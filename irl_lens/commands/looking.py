"""Looking at runs: measurements, analyses, the report, the explorer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, overload

from irl_lens.commands.opening import has_screen, load, showing_progress
from irl_lens.files.targets import require_writable

if TYPE_CHECKING:
    from irl_lens.analyses.core.result import Result
    from irl_lens.analyses.explorer.server import Server
    from irl_lens.analyses.report.scan import Scan
    from irl_lens.runs.run import Run


def evaluate(run: Run | Path | str, *, out: Path | str | None = None) -> dict[str, float]:
    """Measures a run afresh.

    Args:
        run: A run, its folder, or a bundled model's name.
        out: Where to write the measurements too (JSON); ``evaluation.json`` in the run's folder
            is what a summary reads.

    Returns:
        Every measurement by its name, NaN where there was nothing to measure; what needs a
        stage that is not finished is left out.
    """
    opened = load(run)
    if out is not None:
        require_writable(out)
    return measure(opened, out, None)


@overload
def analyze(
    run: Run | Path | str,
    names: str,
    *,
    out: Path | str | None = None,
    against: Run | Path | str | None = None,
) -> Result: ...
@overload
def analyze(
    run: Run | Path | str,
    names: Sequence[str],
    *,
    out: Path | str | None = None,
    against: Run | Path | str | None = None,
) -> dict[str, Result]: ...
def analyze(
    run: Run | Path | str,
    names: str | Sequence[str],
    *,
    out: Path | str | None = None,
    against: Run | Path | str | None = None,
) -> Result | dict[str, Result]:
    """Runs analyses of a run.

    Args:
        run: A run, its folder, or a bundled model's name.
        names: One analysis, or several, by the names that ``irl-lens analyze RUN`` lists.
        out: Folder to write each one's figure, table and numbers to: NAME.html, NAME.csv,
            NAME.json.
        against: Another run: the results say what differs between the two.

    Returns:
        The result of the one, or of several by name: ``figure()``, ``to_dataframe()``,
        ``caption()``, ``claims()``, ``save()``.

    Raises:
        UserError: There is no such analysis, or a stage that it needs is not finished; nothing
            is run then.
    """
    from irl_lens.analyses.registry import entry, write

    several = (names,) if isinstance(names, str) else tuple(names)
    opened, entries = load(run), {name: entry(name) for name in several}
    folder = None if out is None else Path(out)
    if folder is not None:
        for name in entries:
            require_writable(folder / f"{name}.json")
    other = None if against is None else load(against)
    with showing_progress() as shown:
        results = write(opened, entries, folder, shown, other)
    return next(iter(results.values())) if isinstance(names, str) else results


def compare(
    name: str, runs: Sequence[Run | Path | str], *, out: Path | str | None = None
) -> Result:
    """Runs an analysis of a set of runs.

    Args:
        name: The analysis, by a name that ``irl-lens compare`` lists.
        runs: Runs, such as those of a sweep.
        out: Folder to write its figure, table and numbers to.

    Raises:
        UserError: There is no such analysis, or the runs do not belong together.
    """
    from irl_lens.analyses.comparisons import comparison, write_comparison

    comparison(name)
    opened, folder = [load(run) for run in runs], None if out is None else Path(out)
    if folder is not None:
        require_writable(folder / f"{name}.json")
    with showing_progress() as shown:
        return write_comparison(name, opened, folder, shown)


def scan(run: Run | Path | str, *, out: Path | str | None = None) -> Scan:
    """Looks at a run with a cheap version of the analyses and ranks what they find.

    Args:
        run: A run, its folder, or a bundled model's name.
        out: Where to write it too, as a page.

    Returns:
        What was looked at: ``findings`` are in the order in which they are worth a look. After
        Ctrl-C it is what was done until then, and ``left`` names the rest.
    """
    from irl_lens.analyses.report.scan import scan as look_at
    from irl_lens.analyses.report.scan_page import write_scan

    opened = load(run)
    if out is not None:
        require_writable(out)
    with showing_progress() as shown:
        found = look_at(opened, shown)
    if out is not None:
        write_scan(found, Path(out))
    return found


def report(run: Run | Path | str, *, out: Path | str | None = None, browser: bool = False) -> Path:
    """Evaluates a run live and writes its report: one HTML file that works offline.

    Args:
        run: A run, its folder, or a bundled model's name.
        out: Where to write it; report.html in the run's folder when not given, or in the
            working folder for a bundled model.
        browser: Open it in the web browser when there is a screen.

    Returns:
        The page.
    """
    opened = load(run)
    path = opened.beside("report.html") if out is None else Path(out)
    require_writable(path)
    measure(opened, None, path)
    if browser and has_screen():
        import webbrowser

        webbrowser.open(path.resolve().as_uri())
    return path


def explore(run: Run | Path | str, *, port: int | None = None, browser: bool = False) -> Server:
    """Opens the explorer: patch, edit, steer and fork episodes on a page of this machine.

    It is served to this machine alone and needs no network. In a notebook it is shown below
    the cell.

    Args:
        run: A run, its folder, or a bundled model's name.
        port: Where it is served; another one if it is taken.
        browser: Open it in the web browser when there is a screen.

    Returns:
        The server: its ``url``, ``wait()`` until Ctrl-C, ``close()``.

    Raises:
        UserError: The run has no trained base, or a world without boards.
    """
    from irl_lens.analyses.explorer import explore as opened

    return opened(load(run), port, browser and has_screen())


def measure(
    opened: Run, evaluation: Path | str | None, page: Path | str | None
) -> dict[str, float]:
    """Measures a run once, and writes what is wanted of it."""
    from irl_lens.analyses.report.evaluate import numbers
    from irl_lens.analyses.report.headline_results import analyse
    from irl_lens.analyses.report.report import write_report
    from irl_lens.runs.seed_summary import write_evaluation

    with showing_progress() as shown:
        findings = analyse(opened, shown)
    measured = numbers(opened, findings)
    if evaluation is not None:
        write_evaluation(Path(evaluation), measured)
    if page is not None:
        write_report(opened, findings, Path(page))
    return measured
