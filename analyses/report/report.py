"""The report of a run: one HTML page with live figures, which needs nothing but a browser.

Measured from the run's weights as it is built. plotly.js is put in once, and nothing is
fetched from anywhere. Pages that ``irl-lens analyze`` and ``irl-lens scan`` left are linked: in
the run's folder, or of a bundled model in the working folder.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import plotly.graph_objects as go
from markupsafe import Markup

from irl_lens.analyses.control.by_layer import ControlResult
from irl_lens.analyses.figures.page import drawn, page, plotly_code
from irl_lens.analyses.learning.run_curves import LearningResult
from irl_lens.analyses.report import captions
from irl_lens.analyses.report.evaluate import HEADLINES, numbers
from irl_lens.analyses.report.headline_results import Findings, analyse
from irl_lens.files.tensors import write_bytes
from irl_lens.progress import Progress, QuietProgress
from irl_lens.runs.chain import STAGES
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
    return write_report(run, analyse(run, progress or QuietProgress()), out_path)


def write_report(run: Run, findings: Findings, out_path: Path | str) -> Path:
    """Writes the report of findings at hand; see :func:`build_report`."""
    out_path = Path(out_path)
    write_bytes(out_path, _page(run, findings, _links(run, out_path.parent)).encode())
    return out_path


def sections(found: Findings) -> list[Section]:
    """Returns the sections of the page, those without findings empty."""
    return [
        _base(found),
        _section("Probes", "base", found.probes, captions.probes),
        _section("Controllers", "controllers", found.controllers, ControlResult.caption),
        _section("Gate", "metacontroller", found.gate, captions.gate),
        _section("Codes", "metacontroller", found.codes, captions.codes),
        _learning(found),
    ]


def _section(title: str, stage: str, result: Any, caption: Callable[[Any], str]) -> Section:
    if result is None:
        return Section(title, stage)
    return Section(title, stage, caption(result), (result.figure(),))


def _base(found: Findings) -> Section:
    section = _section("Base model and Bayes floor", "base", found.floor, captions.floor)
    if found.pretraining is None:
        return section
    return replace(section, figures=(found.pretraining.figure(), *section.figures))


def _learning(found: Findings) -> Section:
    def caption(result: LearningResult) -> str:
        return captions.learning(result, found.internal, found.raw)

    return _section("Reinforcement learning", "internal-rl", found.learning, caption)


def _links(run: Run, beside: Path) -> list[tuple[str, str]]:
    """Addresses and names of the pages that other commands left."""
    found = sorted(run.beside("analyses").glob("*.html"))
    found += [scan for scan in (run.beside("scan.html"),) if scan.is_file()]
    return [(quote(os.path.relpath(file, beside)), file.stem) for file in found]


def _page(run: Run, findings: Findings, links: list[tuple[str, str]]) -> str:
    shown = sections(findings)
    return page(
        "report",
        title=f"irl-lens: {run.preset.name}, seed {run.seed}",
        plotly=plotly_code(),
        record=_record(run),
        numbers=_numbers(numbers(run, findings)),
        sections=shown,
        figures=[_drawn(section, i) for i, section in enumerate(shown)],
        links=links,
    )


def _drawn(section: Section, number: int) -> list[Markup]:
    return [
        drawn(figure, f"figure-{number}-{i}", displaylogo=False)
        for i, figure in enumerate(section.figures)
    ]


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
    if missing := [name for name in STAGES if name not in finished]:
        yield "not finished", ", ".join(missing)
    sizes = run.preset.evaluation
    yield (
        "measured on",
        f"{sizes.trajectories:,} fresh demonstrations and {sizes.rollouts:,} fresh boards of the "
        "held-out task for each player; intervals are 95 %, over episodes",
    )


def _numbers(measured: dict[str, float]) -> Iterator[tuple[str, str, str]]:
    """Each headline's name, value, and what it is."""
    for name, about in HEADLINES.items():
        value = measured.get(name, math.nan)
        yield name, f"{value:.3g}" if math.isfinite(value) else "not measured", about
