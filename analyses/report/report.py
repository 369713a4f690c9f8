"""The report of a run: one HTML page with live figures, which needs nothing but a browser.

Measured from the run's weights as it is built. It opens with five lines, see
:mod:`irl_lens.analyses.report.opening`. plotly.js is put in once, and nothing is fetched from
anywhere. Pages that ``irl-lens analyze`` and ``irl-lens scan`` left are linked: in the run's
folder, or of a bundled model in the working folder.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import plotly.graph_objects as go
from markupsafe import Markup

from irl_lens.analyses.core.result import Result
from irl_lens.analyses.figures.page import drawn, page, plotly_code
from irl_lens.analyses.registry import ANALYSES
from irl_lens.analyses.report.evaluate import AGAINST_EXPERT, HEADLINES, numbers
from irl_lens.analyses.report.headline_results import SECTIONS, UNSAID, headline_results
from irl_lens.analyses.report.opening import opening
from irl_lens.envs.contracts import Explained
from irl_lens.files.tensors import write_bytes
from irl_lens.progress import Progress, QuietProgress
from irl_lens.runs.run import Run


@dataclass(frozen=True)
class Section:
    """One part of the page.

    Attributes:
        title: What it is about.
        stage: The stage that must be finished.
        caption: What the numbers say; "" when the stage is not finished.
        figures: Drawn under each other.
    """

    title: str
    stage: str
    caption: str = ""
    figures: tuple[go.Figure, ...] = ()


def build_report(run: Run, out_path: Path | str, progress: Progress | None = None) -> Path:
    """Measures a run and writes its report.

    Args:
        run: The run; sections whose stage is not finished say so.
        out_path: The HTML file.
        progress: Told of every analysis.

    Returns:
        ``out_path``.

    Raises:
        OSError: It cannot be written; what was there before still is.
    """
    return write_report(run, headline_results(run, progress or QuietProgress()), out_path)


def write_report(run: Run, results: Mapping[str, Result], out_path: Path | str) -> Path:
    """Writes the report of results at hand; see :func:`build_report`."""
    out_path = Path(out_path)
    write_bytes(out_path, _page(run, results, _links(run, out_path.parent)).encode())
    return out_path


def sections(results: Mapping[str, Result]) -> list[Section]:
    """Returns the sections of the page, those without results empty."""
    return [_section(title, names, results) for title, names in SECTIONS.items()]


def _section(title: str, names: Sequence[str], results: Mapping[str, Result]) -> Section:
    shown = {name: results[name] for name in names if name in results}
    said = [name for name in shown if name not in UNSAID] or list(shown)[-1:]
    caption = " ".join(shown[name].caption() for name in said)
    figures = tuple(result.figure() for result in shown.values())
    return Section(title, ANALYSES[names[-1]].stage, caption, figures)


def _links(run: Run, beside: Path) -> list[tuple[str, str]]:
    """Addresses and names of the pages that other commands left."""
    found = sorted(run.beside("analyses").glob("*.html"))
    found += [scan for scan in (run.beside("scan.html"),) if scan.is_file()]
    return [(quote(os.path.relpath(file, beside)), file.stem) for file in found]


def _page(run: Run, results: Mapping[str, Result], links: list[tuple[str, str]]) -> str:
    shown = sections(results)
    world = run.world.explanation if isinstance(run.world, Explained) else None
    return page(
        "report",
        title=f"irl-lens: {run.preset.name}, seed {run.seed}",
        plotly=plotly_code(),
        opening=opening(run, results),
        world=world,
        picture=Markup(world.picture) if world else "",
        record=_record(run),
        numbers=_numbers(numbers(run, results)),
        sections=shown,
        figures=[_drawn(section, i) for i, section in enumerate(shown)],
        links=links,
    )


def _drawn(section: Section, number: int) -> list[Markup]:
    return [drawn(figure, f"figure-{number}-{i}") for i, figure in enumerate(section.figures)]


def _record(run: Run) -> Iterator[tuple[str, str]]:
    config = run.config
    yield "preset", run.preset.name
    yield "seed", str(run.seed)
    yield "command", config["command"]
    yield "commit", config["commit"] or "not known"
    yield "versions", ", ".join(f"{name} {version}" for name, version in config["versions"].items())
    yield "machine", f"{config['cores']} cores, {config['threads']} threads"
    finished = run.finished()
    minutes = (f"{name} {stage.seconds / 60:.1f}" for name, stage in finished.items())
    yield "minutes", ", ".join(minutes) or "no stage is finished"
    if missing := [name for name in run.chain if name not in finished]:
        yield "not finished", ", ".join(missing)
    sizes = run.preset.evaluation
    yield (
        "measured on",
        f"{sizes.trajectories:,} fresh demonstrations and {sizes.rollouts:,} fresh boards of the "
        "held-out task for each player; intervals are 95 %, over episodes",
    )


def _numbers(measured: dict[str, float]) -> Iterator[tuple[str, str, str]]:
    """Each headline's name, value, and what it is."""
    there = {name: about for name, about in AGAINST_EXPERT.items() if name in measured}
    for name, about in (HEADLINES | there).items():
        value = measured.get(name, math.nan)
        yield name, f"{value:.3g}" if math.isfinite(value) else "not measured", about
