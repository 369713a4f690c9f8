"""Looking at runs: measurements, analyses, the report, the explorer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from irl_lens.commands.opening import has_screen, load, showing_progress
from irl_lens.files.targets import require_writable

if TYPE_CHECKING:
    import torch

    from irl_lens.analyses.core.result import Result
    from irl_lens.analyses.explorer.web.server import Server
    from irl_lens.analyses.report.scan import Scan
    from irl_lens.runs.run import Run

Options = Mapping[str, Any] | Sequence[str]
"""Options of analyses by name, or as ``KEY=VALUE``."""
Size = str | tuple[int, int] | None


def evaluate(
    run: Run | Path | str,
    *,
    task: str | None = None,
    out: Path | str | None = None,
    device: torch.device | str | None = None,
) -> dict[str, float]:
    """Measures a run afresh.

    Args:
        run: A run, its folder, or a bundled model's name.
        task: Another task than the held-out one: its subgoals in order, joined by dashes, such as
            ``"B-C-D-A"``. Then it is measured what carries over to it without more training, as
            :mod:`irl_lens.analyses.zero_shot` does.
        out: Where to write the measurements too (JSON); ``evaluation.json`` in the run's folder
            is what a summary reads.
        device: Where it computes; see :func:`irl_lens.load`.

    Returns:
        Every measurement by its name, NaN where there was nothing to measure; what needs a
        stage that is not finished is left out.

    Raises:
        UserError: There is no such task, or the stages that it needs are not finished.
    """
    opened = load(run, device)
    if task is not None:
        return _on_task(opened, task, out)
    if out is not None:
        require_writable(out)
    return measure(opened, out, None)


def _on_task(opened: Run, task: str, out: Path | str | None) -> dict[str, float]:
    from irl_lens.analyses.zero_shot.on_task import asked, on_task
    from irl_lens.runs.seed_summary import write_evaluation

    world = asked(opened, task)
    if out is not None:
        require_writable(out)
    with showing_progress() as shown:
        measured = on_task(opened, world, shown)
    if out is not None:
        write_evaluation(Path(out), measured)
    return measured


@overload
def analyze(
    run: Run | Path | str,
    names: str,
    options: Options = (),
    *,
    out: Path | str | None = None,
    against: Run | Path | str | None = None,
    formats: Sequence[str] = ("html",),
    size: Size = None,
    device: torch.device | str | None = None,
) -> Result: ...
@overload
def analyze(
    run: Run | Path | str,
    names: Sequence[str],
    options: Options = (),
    *,
    out: Path | str | None = None,
    against: Run | Path | str | None = None,
    formats: Sequence[str] = ("html",),
    size: Size = None,
    device: torch.device | str | None = None,
) -> dict[str, Result]: ...
def analyze(
    run: Run | Path | str,
    names: str | Sequence[str],
    options: Options = (),
    *,
    out: Path | str | None = None,
    against: Run | Path | str | None = None,
    formats: Sequence[str] = ("html",),
    size: Size = None,
    device: torch.device | str | None = None,
) -> Result | dict[str, Result]:
    """Runs analyses of a run.

    Args:
        run: A run, its folder, or a bundled model's name.
        names: One analysis, or several, by the names that ``irl-lens analyze RUN`` lists.
        options: Options of each of them, such as ``{"episodes": 64}``; on the command line, and
            here too, ``["episodes=64"]``.
        out: Folder to write each one's figure, table and numbers to: NAME.html, NAME.csv,
            NAME.json.
        against: Another run: the results say what differs between the two.
        formats: What figures are written as: ``"html"``, ``"png"``, ``"svg"``.
        size: Width and height of figures [px], as ``"900x500"`` or ``(900, 500)``.
        device: Where it computes; see :func:`irl_lens.load`.

    Returns:
        The result of the one, or of several by name: ``figure()``, ``to_dataframe()``,
        ``caption()``, ``claims()``, ``save()``.

    Raises:
        UserError: There is no such analysis, a stage that it needs is not finished, or figures
            cannot be drawn so; nothing is run then.
    """
    from irl_lens.analyses.analyze import analyze as analyzed
    from irl_lens.analyses.figures.files import FigureFiles

    several = (names,) if isinstance(names, str) else tuple(names)
    opened, folder = load(run, device), None if out is None else Path(out)
    other = None if against is None else load(against, opened.device)
    files = FigureFiles.of(formats, size)
    with showing_progress() as shown:
        where = {"folder": folder, "files": files, "progress": shown}
        results = analyzed(opened, several, options, against=other, **where)
    return next(iter(results.values())) if isinstance(names, str) else results


def compare(
    name: str,
    runs: Sequence[Run | Path | str],
    options: Options = (),
    *,
    out: Path | str | None = None,
    formats: Sequence[str] = ("html",),
    size: Size = None,
    device: torch.device | str | None = None,
) -> Result:
    """Runs an analysis of a set of runs.

    Args:
        name: The analysis, by a name that ``irl-lens compare`` lists.
        runs: Runs, such as those of a sweep.
        options: As for :func:`analyze`.
        out: Folder to write its figure, table and numbers to.
        formats: As for :func:`analyze`.
        size: As for :func:`analyze`.
        device: Where it computes; see :func:`irl_lens.load`.

    Raises:
        UserError: There is no such analysis, or the runs do not belong together.
    """
    from irl_lens.analyses.analyze import compare as compared
    from irl_lens.analyses.figures.files import FigureFiles
    from irl_lens.analyses.registry import analysis

    analysis(name, several=True)
    opened, folder = [load(run, device) for run in runs], None if out is None else Path(out)
    files = FigureFiles.of(formats, size)
    with showing_progress() as shown:
        return compared(name, opened, options, folder=folder, files=files, progress=shown)


def scan(
    run: Run | Path | str,
    *,
    out: Path | str | None = None,
    device: torch.device | str | None = None,
) -> Scan:
    """Looks at a run with a cheap version of the analyses and ranks what they find.

    Args:
        run: A run, its folder, or a bundled model's name.
        out: Where to write it too, as a page.
        device: Where it computes; see :func:`irl_lens.load`.

    Returns:
        What was looked at: ``findings`` are in the order in which they are worth a look. After
        Ctrl-C it is what was done until then, and ``left`` names the rest.
    """
    from irl_lens.analyses.report.scan import scan as look_at
    from irl_lens.analyses.report.scan_page import write_scan

    opened = load(run, device)
    if out is not None:
        require_writable(out)
    with showing_progress() as shown:
        found = look_at(opened, shown)
    if out is not None:
        write_scan(found, Path(out))
    return found


def report(
    run: Run | Path | str,
    *,
    out: Path | str | None = None,
    browser: bool = False,
    device: torch.device | str | None = None,
) -> Path:
    """Evaluates a run live and writes its report: one HTML file that works offline.

    Args:
        run: A run, its folder, or a bundled model's name.
        out: Where to write it; report.html in the run's folder when not given, or in the
            working folder for a bundled model.
        browser: Open it in the web browser when there is a screen.
        device: Where it computes; see :func:`irl_lens.load`.

    Returns:
        The page.
    """
    opened = load(run, device)
    path = opened.beside("report.html") if out is None else Path(out)
    require_writable(path)
    measure(opened, None, path)
    if browser and has_screen():
        import webbrowser

        webbrowser.open(path.resolve().as_uri())
    return path


def explore(
    run: Run | Path | str,
    *,
    port: int | None = None,
    browser: bool = False,
    allow_host: Sequence[str] = (),
    device: torch.device | str | None = None,
) -> Server:
    """Opens the explorer: patch, edit, steer and fork episodes on a page of this machine.

    It is served to this machine alone and needs no network. In a notebook, a cell
    that ends with what is returned shows the page.

    Args:
        run: A run, its folder, or a bundled model's name.
        port: Where it is served; another one if it is taken.
        browser: Open it in the web browser when there is a screen.
        allow_host: Names beside this machine's own by which it may be asked, as the browser says
            them: ``"localhost:9000"`` at the end of a tunnel, ``"lab.example.org"`` behind a
            proxy, whose users can then do all that the page can.
        device: Where it computes; see :func:`irl_lens.load`.

    Returns:
        The server: its ``url``, ``wait()`` until Ctrl-C, ``close()``.

    Raises:
        UserError: There is no such port or name, the run has no trained base, or a world in which
            no walk can be retraced.
    """
    from irl_lens.analyses.explorer import explore as opened

    return opened(load(run, device), port, browser and has_screen(), allow_host)


def measure(
    opened: Run, evaluation: Path | str | None, page: Path | str | None
) -> dict[str, float]:
    """Measures a run once, and writes what is wanted of it."""
    from irl_lens.analyses.report.evaluate import numbers
    from irl_lens.analyses.report.headline_results import headline_results
    from irl_lens.analyses.report.report import write_report
    from irl_lens.runs.seed_summary import write_evaluation

    with showing_progress() as shown:
        results = headline_results(opened, shown)
    measured = numbers(opened, results)
    if evaluation is not None:
        write_evaluation(Path(evaluation), measured)
    if page is not None:
        write_report(opened, results, Path(page))
    return measured
