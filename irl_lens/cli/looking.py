"""Commands that look at runs: measurements, analyses, the explorer, the report."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from irl_lens.cli.arguments import Base, OutFile, OutFolder, RunName, Settings, find
from irl_lens.cli.console import has_screen, leave, one_line, progress
from irl_lens.files.targets import require_writable

if TYPE_CHECKING:
    from irl_lens.analyses.core.analysis import Analysis
    from irl_lens.runs.run import Run


def evaluate(run_name: tyro.conf.Positional[RunName], /, out: OutFile = None) -> None:
    """Measures a run afresh and prints every measurement.

    Args:
        out: Where to write them (JSON); evaluation.json in the run's folder when not given,
            or in the working folder for a bundled model.
    """
    opened = find(run_name)
    path = out or opened.beside("evaluation.json")
    require_writable(path)
    measure(opened, path, None)


def analyze(
    run_name: tyro.conf.Positional[RunName],
    names: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="NAME...")] = (),
    /,
    out: OutFolder = None,
    against: Base = None,
    settings: Settings = (),
) -> None:
    """Runs analyses of a run and writes each one's figure, table and numbers.

    Args:
        names: Analyses; all that can be named are listed when none is.
        out: Folder for NAME.html, NAME.csv, NAME.json; analyses in the run's folder when not
            given, or in the working folder for a bundled model.
        against: Another run: what differs between the two is written as NAME-against.
        settings: Options of the analyses, such as seed=1; a list's items stand between commas.
    """
    from irl_lens.analyses.analyze import analyze as analyzed
    from irl_lens.analyses.registry import of_runs

    opened = find(run_name)
    if not names:
        listed(of_runs(several=False))
        return
    folder = out or opened.beside("analyses")
    other = None if against is None else find(against)
    with progress() as shown:
        results = analyzed(opened, names, settings, against=other, folder=folder, progress=shown)
    for name, result in results.items():
        print(f"{name}: {result.caption()}")


def listed(analyses: Mapping[str, Analysis]) -> None:
    """Prints analyses by name."""
    for name, known in analyses.items():
        print(f"{name:<24} {known.title}")


def compare(
    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")] = "",
    runs: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="RUN...")] = (),
    /,
    out: OutFolder = None,
    settings: Settings = (),
) -> None:
    """Runs an analysis of a set of runs and writes its figure, table and numbers.

    Args:
        name: The analysis; all that can be named are listed when none is.
        runs: Runs, such as those of a sweep.
        out: Folder for NAME.html, NAME.csv, NAME.json; comparison in the working folder when
            not given.
        settings: Options of the analysis, such as seed=1; a list's items stand between commas.
    """
    from irl_lens.analyses.analyze import compare as compared
    from irl_lens.analyses.registry import analysis, of_runs

    if not name:
        listed(of_runs(several=True))
        return
    analysis(name, several=True)
    opened = [find(run) for run in runs]
    with progress() as shown:
        result = compared(name, opened, settings, folder=out or Path("comparison"), progress=shown)
    print(f"{name}: {result.caption()}")


def scan(run_name: tyro.conf.Positional[RunName], /, out: OutFile = None) -> None:
    """Looks at a run with a cheap version of the analyses and ranks what they find.

    Prints the first ten findings. Ctrl-C leaves a page of what is done.

    Args:
        out: Where to write the page; scan.html in the run's folder when not given, or in the
            working folder for a bundled model.
    """
    from irl_lens.analyses.report.scan import scan as look_at
    from irl_lens.analyses.report.scan_page import FIRST, write_scan

    opened = find(run_name)
    path = out or opened.beside("scan.html")
    require_writable(path)
    with progress() as shown:
        found = look_at(opened, shown)
    write_scan(found, path)
    for look in found.looks:
        if look.result is None:
            print(f"irl-lens: {look.name} was left out: {one_line(look.why)}", file=sys.stderr)
    for place, finding in enumerate(found.findings[:FIRST], start=1):
        print(f"{place}. {finding}")
    print(path)
    if found.left:
        leave(130, f"stopped before {found.left[0]}; {path} has what was done")


def explore(
    run_name: tyro.conf.Positional[RunName],
    /,
    port: Annotated[int | None, tyro.conf.arg(metavar="N")] = None,
    browser: bool = True,
) -> None:
    """Opens the explorer: patch, edit, steer and fork episodes on a page of this machine.

    It is served to this machine alone and needs no network. Ctrl-C ends it.

    Args:
        port: Where it is served; another one if it is taken.
        browser: Open it in the web browser when there is a screen.
    """
    from irl_lens.analyses.explorer import explore as opened

    server = opened(find(run_name), port, browser and has_screen())
    print(server.url, flush=True)
    try:
        server.wait()
    except KeyboardInterrupt:
        server.close()


def report(
    run_name: tyro.conf.Positional[RunName],
    /,
    out: OutFile = None,
    show: Annotated[bool, tyro.conf.arg(name="open")] = True,
) -> None:
    """Evaluates a run live and writes its report: one HTML file that works offline.

    Args:
        out: Where to write it; report.html in the run's folder when not given, or in the
            working folder for a bundled model.
        show: Open it in the web browser when there is a screen.
    """
    opened = find(run_name)
    path = out or opened.beside("report.html")
    require_writable(path)
    measure(opened, None, path)
    if show and has_screen():
        webbrowser.open(path.resolve().as_uri())


def measure(opened: Run, evaluation: Path | None, page: Path | None) -> None:
    """Measures a run once and writes what is wanted of it."""
    from irl_lens.analyses.report.evaluate import numbers
    from irl_lens.analyses.report.headline_results import headline_results
    from irl_lens.analyses.report.report import write_report
    from irl_lens.runs.seed_summary import write_evaluation

    with progress() as shown:
        results = headline_results(opened, shown)
    if evaluation is not None:
        measured = numbers(opened, results)
        write_evaluation(evaluation, measured)
        for name, value in sorted(measured.items()):
            print(f"{name} {value:.6g}")
        print(evaluation)
    if page is not None:
        print(write_report(opened, results, page))
