"""The ``irl-lens`` command: the one place that composes worlds, training and analyses.

Everything heavy is imported inside the sub-commands, so that ``--help`` and mistakes in the
arguments are answered at once. Results go to standard output, progress and errors to
standard error. Exit codes: 0, 1 when a conformance oracle failed, 2 for a mistake the user
can mend, 130 after Ctrl-C.
"""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from pkgutil import resolve_name
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from irl_lens.errors import UserError

if TYPE_CHECKING:
    from irl_lens.progress import Progress
    from irl_lens.runs import Run

STAGES = {
    "base": "irl_lens.training.pretrain:pretrain",
    "controllers": "irl_lens.training.controllers:train_controllers",
    "metacontroller": "irl_lens.training.discovery:discover",
    "codes": "irl_lens.training.codes:learn_codes",
    "internal-rl": "irl_lens.rl.internal:internal_rl",
    "raw-rl": "irl_lens.rl.raw:raw_rl",
}
"""The chain in its order: each stage and the function that runs it."""

PRESET_NAMES = ("grid", "smoke", "paper-grid")
"""Those of :mod:`irl_lens.presets`, which brings the worlds and with them Gymnasium."""

StageName = Literal["base", "controllers", "metacontroller", "codes", "internal-rl", "raw-rl"]
PresetName = Annotated[
    str, tyro.conf.arg(metavar="PRESET", help=f"One of {', '.join(PRESET_NAMES)}.")
]
RunName = Annotated[
    str, tyro.conf.arg(metavar="RUN", help="A run folder, or a bundled model such as grid.")
]
OutFolder = Annotated[Path | None, tyro.conf.arg(metavar="DIR")]
OutFile = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]
Seed = Annotated[int, tyro.conf.arg(metavar="N")]
Threads = Annotated[int | None, tyro.conf.arg(metavar="N")]
Base = Annotated[str | None, tyro.conf.arg(metavar="RUN")]
OWN_ADAPTER = "irl_lens.adapters.own:OwnAdapter"
Settings = Annotated[tuple[str, ...], tyro.conf.arg(name="set", metavar="KEY=VALUE...")]


def run(
    preset_name: tyro.conf.Positional[PresetName],
    /,
    out: OutFolder = None,
    seed: Seed = 0,
    threads: Threads = None,
    base: Base = None,
    settings: Settings = (),
) -> None:
    """Runs the whole chain, evaluates it and writes its report. The same command continues.

    Args:
        out: The run's folder; runs/PRESET-seedN when not given.
        seed: Where every random stream starts from.
        threads: Threads that torch computes with; its own choice when not given.
        base: A run whose finished base is copied in place of training one.
        settings: Settings that replace the preset's, such as base.d_model=256; a list's
            items stand between commas.
    """
    opened = _open_for_training(preset_name, settings, out, seed, threads, base)
    with _progress() as progress:
        for name in opened.chain:
            _run_stage(name, opened, progress)
    _measure(opened, opened.folder / "evaluation.json", opened.folder / "report.html")


def train(
    stage: tyro.conf.Positional[StageName],
    /,
    preset_name: Annotated[PresetName, tyro.conf.arg(name="preset")],
    out: OutFolder = None,
    seed: Seed = 0,
    threads: Threads = None,
    base: Base = None,
    settings: Settings = (),
) -> None:
    """Runs one stage of the chain; the stages before it must be finished.

    Args:
        stage: The stage.
        out: The run's folder; runs/PRESET-seedN when not given.
        seed: Where every random stream starts from.
        threads: Threads that torch computes with; its own choice when not given.
        base: A run whose finished base is copied in place of training one.
        settings: Settings that replace the preset's, such as base.d_model=256; a list's
            items stand between commas.
    """
    opened = _open_for_training(preset_name, settings, out, seed, threads, base)
    with _progress() as progress:
        _run_stage(stage, opened, progress)
    print(opened.folder / stage)


def sweep(
    stages: Annotated[
        tyro.conf.Positional[tuple[StageName, ...]], tyro.conf.arg(metavar="STAGE...")
    ],
    /,
    preset_name: Annotated[PresetName, tyro.conf.arg(name="preset")],
    over: Annotated[tuple[str, ...], tyro.conf.arg(metavar="KEY=VALUE...")] = (),
    seeds: Annotated[tuple[int, ...], tyro.conf.arg(metavar="N...")] = (0,),
    out: OutFolder = None,
    threads: Threads = None,
    base: Base = None,
    settings: Settings = (),
) -> None:
    """Runs stages of one run for each combination of settings and seed, one after the other.

    The same command continues. irl-lens compare then looks at all of them.

    Args:
        stages: The stages, in their order; those before them must be finished, or come with
            --base.
        over: Settings that are varied, a key once for each of its values; all combinations
            are run.
        seeds: Seeds of each combination.
        out: Folder of the runs' folders; runs/PRESET-sweep when not given.
        threads: Threads that torch computes with; its own choice when not given.
        base: A run whose finished base all share.
        settings: Settings that replace the preset's in all of them.
    """
    from irl_lens.settings import combinations

    if not stages:
        raise UserError(f"a sweep needs a stage; the stages are {', '.join(STAGES)}")
    folder = out or Path("runs") / f"{preset_name}-sweep"
    for choice, seed in product(combinations(over), seeds):
        own = folder / "_".join((*choice, f"seed{seed}"))
        chosen = (*settings, *choice)
        opened = _open_for_training(preset_name, chosen, own, seed, threads, base)
        with _progress() as progress:
            for name in stages:
                _run_stage(name, opened, progress)
        print(own)


def evaluate(run_name: tyro.conf.Positional[RunName], /, out: OutFile = None) -> None:
    """Measures a run afresh and prints every measurement.

    Args:
        out: Where to write them (JSON); evaluation.json in the run's folder when not given,
            or in the working folder for a bundled model.
    """
    opened = _find(run_name)
    _measure(opened, out or _beside(opened, "evaluation.json"), None)


def analyze(
    run_name: tyro.conf.Positional[RunName],
    names: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="NAME...")] = (),
    /,
    out: OutFolder = None,
    against: Base = None,
) -> None:
    """Runs analyses of a run and writes each one's figure, table and numbers.

    Args:
        names: Analyses; all that can be named are listed when none is.
        out: Folder for NAME.html, NAME.csv, NAME.json; analyses in the run's folder when not
            given, or in the working folder for a bundled model.
        against: Another run: what differs between the two is written as NAME-against.
    """
    from irl_lens.analyses.catalogue import CATALOGUE, entry, write

    opened, entries = _find(run_name), {name: entry(name) for name in names}
    if not entries:
        for name, known in CATALOGUE.items():
            print(f"{name:<24} {known.title}")
        return
    with _progress() as progress:
        other = None if against is None else _find(against)
        folder = out or _beside(opened, "analyses")
        results = write(opened, entries, folder, progress, other)
    for name, caption in results.items():
        print(f"{name}: {caption}")


def compare(
    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")] = "",
    runs: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="RUN...")] = (),
    /,
    out: OutFolder = None,
) -> None:
    """Runs an analysis of a set of runs and writes its figure, table and numbers.

    Args:
        name: The analysis; all that can be named are listed when none is.
        runs: Runs, such as those of a sweep.
        out: Folder for NAME.html, NAME.csv, NAME.json; comparison in the working folder when
            not given.
    """
    from irl_lens.analyses.comparisons import COMPARISONS, comparison, write_comparison

    if not name:
        for known, about in COMPARISONS.items():
            print(f"{known:<24} {about.title}")
        return
    comparison(name)
    folder, opened = out or Path("comparison"), [_find(run) for run in runs]
    with _progress() as progress:
        caption = write_comparison(name, opened, folder, progress)
    print(f"{name}: {caption}")


def scan(run_name: tyro.conf.Positional[RunName], /, out: OutFile = None) -> None:
    """Looks at a run with a cheap version of the analyses and ranks what they find.

    Prints the first ten findings. Ctrl-C leaves a page of what is done.

    Args:
        out: Where to write the page; scan.html in the run's folder when not given, or in the
            working folder for a bundled model.
    """
    from irl_lens.analyses.scan import scan as look_at
    from irl_lens.analyses.scan_page import FIRST, write_scan

    opened = _find(run_name)
    with _progress() as progress:
        found = look_at(opened, progress)
    path = write_scan(found, out or _beside(opened, "scan.html"))
    for look in found.looks:
        if look.result is None:
            print(f"irl-lens: {look.name} was left out: {_one_line(look.why)}", file=sys.stderr)
    for place, finding in enumerate(found.findings[:FIRST], start=1):
        print(f"{place}. {finding}")
    print(path)
    if found.left:
        _exit(130, f"stopped before {found.left[0]}; {path} has what was done")


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

    server = opened(_find(run_name), port, browser and _has_screen())
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
    opened = _find(run_name)
    path = out or _beside(opened, "report.html")
    _measure(opened, None, path)
    if show and _has_screen():
        webbrowser.open(path.resolve().as_uri())


def summary(
    runs: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="RUN...")],
    /,
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")],
) -> None:
    """Writes the median, lowest and highest of every measurement over runs of several seeds.

    Args:
        runs: Evaluated runs of one preset, or records of such that a summary left.
        out: Folder for summary.json, runs.json and the runs' records.
    """
    from irl_lens.summary import write_summary

    print(write_summary([_find(name) for name in runs], out))


def bundle(
    run_name: tyro.conf.Positional[RunName],
    /,
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")],
) -> None:
    """Copies a finished run to ship: its record, and its weights in half the bytes.

    Args:
        out: An empty folder, or one that is not there yet.
    """
    from irl_lens.record import write_bundle

    print(write_bundle(_find(run_name), out))


def conformance(
    adapter: Annotated[str, tyro.conf.arg(metavar="MODULE:NAME")] = OWN_ADAPTER,
    out: OutFile = None,
) -> None:
    """Puts an implementation of internal RL through the conformance oracles.

    Exits with 1 if one of them fails.

    Args:
        adapter: A class or function that makes an irl_lens.hooks.conformance.Adapter.
        out: Where to write a page of it (Markdown).
    """
    from irl_lens.checkpoint import write_bytes
    from irl_lens.hooks.conformance import check, load_adapter, report, table

    subject = load_adapter(adapter)
    outcomes = check(subject)
    print(table(outcomes))
    if out is not None:
        command = f"irl-lens conformance --adapter {adapter}"
        write_bytes(out, report(subject, outcomes, command).encode())
        print(out)
    if any(outcome.verdict == "fail" for outcome in outcomes):
        raise SystemExit(1)


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point of the ``irl-lens`` command.

    Args:
        arguments: The command line without the program; sys.argv when not given.

    Raises:
        SystemExit: With 1 after a failed conformance oracle, with 2 after a mistake the user
            can mend, with 130 after Ctrl-C.
    """
    # OpenMP's threads wait for one another by spinning: with another program on the processor
    # that makes torch tens of times slower. It reads this once, when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    commands: dict[str, Callable[..., None]] = {
        "run": run,
        "train": train,
        "sweep": sweep,
        "evaluate": evaluate,
        "explore": explore,
        "report": report,
        "analyze": analyze,
        "compare": compare,
        "scan": scan,
        "summary": summary,
        "bundle": bundle,
        "conformance": conformance,
    }
    try:
        tyro.extras.subcommand_cli_from_dict(
            commands, prog="irl-lens", description=_DESCRIPTION, args=arguments
        )
    except KeyboardInterrupt as stop:
        why = f"{stop}; " if str(stop) else "stopped; "
        _exit(130, f"{why}give the same command again to continue")
    except (UserError, OSError) as error:
        _exit(2, _one_line(error))
    except ValueError as error:
        if not _raised_by_us(error.__traceback__):
            raise
        _exit(2, _one_line(error))


_DESCRIPTION = (
    "Train sequence models of behaviour, find the abstract actions in their residual stream, "
    "and do reinforcement learning with them."
)


def _open_for_training(
    name: str,
    settings: Sequence[str],
    out: Path | None,
    seed: int,
    threads: int | None,
    base: str | None,
) -> Run:
    from irl_lens.presets import preset
    from irl_lens.settings import changed

    chosen = changed(preset(name), settings)
    if seed < 0:
        raise UserError(f"--seed {seed}: a seed is 0 or more")
    if threads is not None and threads < 1:
        raise UserError(f"--threads {threads}: at least 1 is needed")
    import torch

    from irl_lens.runs import Run

    if threads is not None:
        torch.set_num_threads(threads)
    source = None if base is None else _find(base)
    opened = Run.create(out or Path("runs") / f"{name}-seed{seed}", chosen, seed)
    if source is not None:
        opened.take_base(source)
    return opened


def _run_stage(name: str, opened: Run, progress: Progress) -> None:
    if not opened.stage(name).done:
        resolve_name(STAGES[name])(opened, progress)


def _find(name: str) -> Run:
    from irl_lens.runs import find_run

    return find_run(name)


def _measure(opened: Run, evaluation: Path | None, page: Path | None) -> None:
    """Measures a run once and writes what is wanted of it."""
    from irl_lens.analyses.evaluate import numbers
    from irl_lens.analyses.findings import analyse
    from irl_lens.analyses.report import write_report
    from irl_lens.summary import write_evaluation

    with _progress() as progress:
        findings = analyse(opened, progress)
    if evaluation is not None:
        measured = numbers(opened, findings)
        write_evaluation(evaluation, measured)
        for name, value in sorted(measured.items()):
            print(f"{name} {value:.6g}")
        print(evaluation)
    if page is not None:
        print(write_report(opened, findings, page))


def _beside(opened: Run, name: str) -> Path:
    return Path(f"{opened.folder.name}-{name}") if opened.bundled else opened.folder / name


@contextmanager
def _progress() -> Iterator[Progress]:
    from irl_lens.progress import progress_display

    display = progress_display()
    try:
        yield display
    finally:
        display.close()


def _has_screen() -> bool:
    # Without this a machine with no screen would open a text browser in the terminal.
    windowed = sys.platform in ("win32", "darwin")
    return windowed or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _raised_by_us(trace: TracebackType | None) -> bool:
    """Whether the innermost frame is this package's: a third party's error is a bug to show."""
    module = ""
    while trace is not None:
        module, trace = trace.tb_frame.f_globals.get("__name__", ""), trace.tb_next
    return module.split(".")[0] == "irl_lens"


def _one_line(error: Exception | str) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}; mend that and give the same command again"
    return " ".join(str(error).split())


def _exit(code: int, message: str) -> None:
    print(f"irl-lens: {message}", file=sys.stderr)
    raise SystemExit(code)
