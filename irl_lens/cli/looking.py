"""Commands that look at runs: measurements, analyses, the explorer, the report."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from irl_lens.cli.arguments import (
    Base,
    Device,
    Formats,
    Json,
    OutFile,
    OutFolder,
    RunName,
    Settings,
    Size,
)
from irl_lens.cli.console import as_object, leave, measured, one_line, written
from irl_lens.commands import looking
from irl_lens.commands.opening import load
from irl_lens.errors import UserError

if TYPE_CHECKING:
    from irl_lens.analyses.core.analysis import Analysis
    from irl_lens.analyses.core.result import Result


def evaluate(
    run_name: tyro.conf.Positional[RunName],
    /,
    task: Annotated[str | None, tyro.conf.arg(metavar="A-B-..")] = None,
    out: OutFile = None,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Measures a run afresh and prints every measurement.

    Args:
        task: Measure what carries over, untrained, to another task than the held-out one: its
            subgoals in order, joined by dashes, as many as you like.
        out: Where to write them (JSON); evaluation.json in the run's folder when not given,
            or in the working folder for a bundled model; evaluation-TASK.json of another task.
    """
    opened = load(run_name, device)
    path = out or opened.beside(f"evaluation-{task}.json" if task else "evaluation.json")
    measured(looking.evaluate(opened, task=task, out=path), [path], as_json)


def analyze(
    run_name: tyro.conf.Positional[RunName],
    names: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="NAME...")] = (),
    /,
    out: OutFolder = None,
    against: Base = None,
    settings: Settings = (),
    formats: Formats = ("html",),
    size: Size = None,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Runs analyses of a run and writes each one's figure, table and numbers.

    Args:
        names: Analyses; all that can be named are listed when none is.
        out: Folder for NAME.html (or as --format says), NAME.csv, NAME.json; analyses in the
            run's folder when not given, or in the working folder for a bundled model.
        against: Another run: what differs between the two is written as NAME-against.
        settings: Options of the analyses, such as seed=1; a list's items stand between commas.
    """
    opened = load(run_name, device)
    if not names:
        from irl_lens.analyses.registry import of_runs

        listed(of_runs(several=False), as_json)
        return
    folder = out or opened.beside("analyses")
    drawn: dict[str, Any] = {"formats": formats, "size": size}
    results = looking.analyze(opened, names, settings, out=folder, against=against, **drawn)
    shown(results, folder, formats, as_json)


def listed(analyses: Mapping[str, Analysis], as_json: bool) -> None:
    """Prints analyses by name."""
    if as_json:
        as_object({"analyses": {name: known.title for name, known in analyses.items()}})
        return
    for name, known in analyses.items():
        print(f"{name:<24} {known.title}")


def shown(
    results: Mapping[str, Result], folder: Path, formats: Sequence[str], as_json: bool
) -> None:
    """Prints what results say, and where their figures were written."""
    files = {name: [folder / f"{name}.{kind}" for kind in formats] for name in results}
    if as_json:
        said = {name: _said(result) for name, result in results.items()}
        as_object({"results": said, "written": [str(f) for own in files.values() for f in own]})
        return
    for name, result in results.items():
        print(f"{name}: {result.caption()}")
        written(files[name], False)


def _said(result: Result) -> dict[str, Any]:
    return {"caption": result.caption(), "claims": [asdict(each) for each in result.claims()]}


def compare(
    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")] = "",
    runs: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="RUN...")] = (),
    /,
    out: OutFolder = None,
    settings: Settings = (),
    formats: Formats = ("html",),
    size: Size = None,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Runs an analysis of a set of runs and writes its figure, table and numbers.

    Args:
        name: The analysis; all that can be named are listed when none is.
        runs: Runs, such as those of a sweep.
        out: Folder for NAME.html (or as --format says), NAME.csv, NAME.json; comparison in the
            working folder when not given.
        settings: Options of the analysis, such as seed=1; a list's items stand between commas.
    """
    if not name:
        from irl_lens.analyses.registry import of_runs

        listed(of_runs(several=True), as_json)
        return
    folder = out or Path("comparison")
    result = looking.compare(
        name, runs, settings, out=folder, formats=formats, size=size, device=device
    )
    shown({name: result}, folder, formats, as_json)


def scan(
    run_name: tyro.conf.Positional[RunName],
    /,
    out: OutFile = None,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Looks at a run with a cheap version of the analyses and ranks what they find.

    Prints the first ten findings. Ctrl-C leaves a page of what is done.

    Args:
        out: Where to write the page; scan.html in the run's folder when not given, or in the
            working folder for a bundled model.
    """
    from irl_lens.analyses.report.scan import VERDICTS
    from irl_lens.analyses.report.scan_page import FIRST

    opened = load(run_name, device)
    path = out or opened.beside("scan.html")
    found = looking.scan(opened, out=path)
    for look in found.looks:
        if look.result is None:
            print(f"irl-lens: {look.name} was left out: {one_line(look.why)}", file=sys.stderr)
    if as_json:
        findings = [
            {"name": f.name, "verdict": VERDICTS[f.group], "q": f.q} | asdict(f.claim)
            for f in found.findings
        ]
        as_object({"findings": findings, "left": list(found.left), "written": [str(path)]})
    else:
        for place, finding in enumerate(found.findings[:FIRST], start=1):
            print(f"{place}. {finding}")
        print(path)
    if found.left:
        leave(130, f"stopped before {found.left[0]}; {path} has what was done")


def explore(
    run_name: tyro.conf.Positional[RunName],
    /,
    port: Annotated[int | None, tyro.conf.arg(metavar="N")] = None,
    allow_host: Annotated[tuple[str, ...], tyro.conf.arg(metavar="HOST...")] = (),
    browser: bool = True,
    device: Device = None,
) -> None:
    """Opens the explorer: patch, edit, steer and fork episodes on a page of this machine.

    It is served to this machine alone and needs no network. Ctrl-C ends it.

    Args:
        port: Where it is served; another one if it is taken.
        allow_host: Names beside this machine's own by which browsers may ask, such as
            localhost:9000 at the end of a tunnel, or lab.example.org behind a proxy.
        browser: Open it in the web browser when there is a screen.
    """
    server = looking.explore(
        run_name, port=port, allow_host=allow_host, browser=browser, device=device
    )
    if port not in (None, 0, server.port):
        print(f"irl-lens: port {port} is taken; another one is served", file=sys.stderr)
    print(server.url, flush=True)
    try:
        server.wait()
    except KeyboardInterrupt:
        server.close()


def watch(
    run_name: tyro.conf.Positional[RunName],
    /,
    every: Annotated[float, tyro.conf.arg(metavar="SECONDS")] = 2.0,
    as_json: Json = False,
) -> None:
    """Shows a run under way: its stages, steps, time left, and curves as text.

    On a terminal until nobody trains in it any more; elsewhere, and of a run that is finished
    or stopped, once. RUN may also be a folder of runs, such as a sweep's. Only reads: Ctrl-C ends
    the watching, not the training.

    Args:
        every: Time between two looks [s].
    """
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from irl_lens.commands import watching
    from irl_lens.runs.standing_text import ASCII, BLOCKS, lines

    if not every > 0:
        raise UserError(f"--every {every:g}: give a positive number of seconds")
    runs, console = watching.watched(run_name), Console(highlight=False)
    looks = watching.looks(runs, every)
    ramp = BLOCKS if console.encoding.lower().startswith("utf") else ASCII
    first = next(looks)
    if as_json:
        as_object({"runs": [*map(watching.plain, first)]})
    elif not console.is_terminal or not any(run.process for run in first):
        print("\n".join(lines(first, ramp)))
    else:
        with suppress(KeyboardInterrupt), Live(console=console, auto_refresh=False) as live:
            for found in chain([first], looks):
                text = Text("\n".join(lines(found, ramp)), no_wrap=True, overflow="crop")
                live.update(text, refresh=True)


def report(
    run_name: tyro.conf.Positional[RunName],
    /,
    out: OutFile = None,
    browser: Annotated[bool, tyro.conf.arg(name="open")] = True,
    device: Device = None,
    as_json: Json = False,
) -> None:
    """Evaluates a run live and writes its report: one HTML file that works offline.

    Args:
        out: Where to write it; report.html in the run's folder when not given, or in the
            working folder for a bundled model.
        browser: Open it in the web browser when there is a screen.
    """
    written([looking.report(run_name, out=out, browser=browser, device=device)], as_json)
