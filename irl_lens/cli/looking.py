"""Commands that look at runs: measurements, analyses, the explorer, the report."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from irl_lens.cli.arguments import Base, Device, OutFile, OutFolder, RunName, Settings
from irl_lens.cli.console import leave, one_line
from irl_lens.commands import looking
from irl_lens.commands.opening import load

if TYPE_CHECKING:
    from irl_lens.analyses.core.analysis import Analysis


def evaluate(
    run_name: tyro.conf.Positional[RunName], /, out: OutFile = None, device: Device = None
) -> None:
    """Measures a run afresh and prints every measurement.

    Args:
        out: Where to write them (JSON); evaluation.json in the run's folder when not given,
            or in the working folder for a bundled model.
    """
    opened = load(run_name, device)
    path = out or opened.beside("evaluation.json")
    show(looking.evaluate(opened, out=path), path)


def analyze(
    run_name: tyro.conf.Positional[RunName],
    names: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="NAME...")] = (),
    /,
    out: OutFolder = None,
    against: Base = None,
    settings: Settings = (),
    device: Device = None,
) -> None:
    """Runs analyses of a run and writes each one's figure, table and numbers.

    Args:
        names: Analyses; all that can be named are listed when none is.
        out: Folder for NAME.html, NAME.csv, NAME.json; analyses in the run's folder when not
            given, or in the working folder for a bundled model.
        against: Another run: what differs between the two is written as NAME-against.
        settings: Options of the analyses, such as seed=1; a list's items stand between commas.
    """
    opened = load(run_name, device)
    if not names:
        from irl_lens.analyses.registry import of_runs

        listed(of_runs(several=False))
        return
    folder = out or opened.beside("analyses")
    results = looking.analyze(opened, names, settings, out=folder, against=against)
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
    device: Device = None,
) -> None:
    """Runs an analysis of a set of runs and writes its figure, table and numbers.

    Args:
        name: The analysis; all that can be named are listed when none is.
        runs: Runs, such as those of a sweep.
        out: Folder for NAME.html, NAME.csv, NAME.json; comparison in the working folder when
            not given.
        settings: Options of the analysis, such as seed=1; a list's items stand between commas.
    """
    if not name:
        from irl_lens.analyses.registry import of_runs

        listed(of_runs(several=True))
        return
    result = looking.compare(name, runs, settings, out=out or Path("comparison"), device=device)
    print(f"{name}: {result.caption()}")


def scan(
    run_name: tyro.conf.Positional[RunName], /, out: OutFile = None, device: Device = None
) -> None:
    """Looks at a run with a cheap version of the analyses and ranks what they find.

    Prints the first ten findings. Ctrl-C leaves a page of what is done.

    Args:
        out: Where to write the page; scan.html in the run's folder when not given, or in the
            working folder for a bundled model.
    """
    from irl_lens.analyses.report.scan_page import FIRST

    opened = load(run_name, device)
    path = out or opened.beside("scan.html")
    found = looking.scan(opened, out=path)
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
    device: Device = None,
) -> None:
    """Opens the explorer: patch, edit, steer and fork episodes on a page of this machine.

    It is served to this machine alone and needs no network. Ctrl-C ends it.

    Args:
        port: Where it is served; another one if it is taken.
        browser: Open it in the web browser when there is a screen.
    """
    server = looking.explore(run_name, port=port, browser=browser, device=device)
    print(server.url, flush=True)
    try:
        server.wait()
    except KeyboardInterrupt:
        server.close()


def report(
    run_name: tyro.conf.Positional[RunName],
    /,
    out: OutFile = None,
    browser: Annotated[bool, tyro.conf.arg(name="open")] = True,
    device: Device = None,
) -> None:
    """Evaluates a run live and writes its report: one HTML file that works offline.

    Args:
        out: Where to write it; report.html in the run's folder when not given, or in the
            working folder for a bundled model.
        browser: Open it in the web browser when there is a screen.
    """
    print(looking.report(run_name, out=out, browser=browser, device=device))


def show(measured: Mapping[str, float], *files: Path) -> None:
    """Prints measurements, and the files that have been written."""
    for name, value in sorted(measured.items()):
        print(f"{name} {value:.6g}")
    for file in files:
        print(file)
