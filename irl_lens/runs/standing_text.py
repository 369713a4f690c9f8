"""How far runs have come, in lines of text: stages, steps, time left, and curves."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import isfinite

from irl_lens.runs.standing import StageStanding, Standing

CURVE = 24
"""Characters of a curve."""
BLOCKS, ASCII = "▁▂▃▄▅▆▇█", "_.-=+*%#"
"""From low to high; the latter where the terminal's encoding lacks the former."""


def lines(found: Sequence[Standing], ramp: str = BLOCKS) -> list[str]:
    """Writes runs out: one with all its stages and curves, several in a line each.

    Args:
        found: The runs.
        ramp: Characters that curves are drawn with, from low to high.
    """
    if len(found) > 1:
        width = max(len(str(one.folder)) for one in found)
        return [f"{one.folder!s:<{width}}  {_in_short(one)}" for one in found]
    (run,) = found
    names = max(len(stage.name) for stage in run.stages)
    told = [str(run.folder), f"{run.preset}, seed {run.seed}; {_process(run)}", ""]
    told += [f"{stage.name:<{names}}  {_standing(stage)}" for stage in run.stages]
    if stage := run.latest:
        told += ["", f"{stage.name}, to step {stage.step:,}", *_curves(stage, ramp)]
    return told


def curve(values: Sequence[float], ramp: str = BLOCKS, width: int = CURVE) -> str:
    """Draws numbers as one line of text, the mean of each of ``width`` equal parts.

    Args:
        values: The numbers; a part without any that is finite is left blank.
        ramp: Characters from low to high.
        width: Characters; fewer where there are fewer numbers.
    """
    width = min(width, len(values))
    bounds = [round(i * len(values) / width) for i in range(width + 1)]
    parts = [values[a:b] for a, b in pairwise(bounds)]
    kept = [[value for value in part if isfinite(value)] for part in parts]
    means = [sum(part) / len(part) if part else None for part in kept]
    known = [mean for mean in means if mean is not None]
    low, spread = min(known, default=0.0), max(known, default=0.0) - min(known, default=0.0)
    top = len(ramp) - 1
    drawn = (
        " " if m is None else ramp[round((m - low) / spread * top) if spread else 0] for m in means
    )
    return "".join(drawn)


def duration(seconds: float) -> str:
    """Writes a time in its two largest units."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _process(run: Standing) -> str:
    if run.process:
        return "process {pid} on {host} since {since}".format(**run.process)
    return "finished" if run.finished else "nobody trains in it; the same command continues"


def _standing(stage: StageStanding) -> str:
    text = f"{stage.state:<8}  {stage.step:>9,} of {stage.total:<9,}"
    if stage.seconds:
        text += f"  {duration(stage.seconds)}"
    if stage.left is not None:
        text += f", {duration(stage.left)} left"
    return text.rstrip()


def _in_short(run: Standing) -> str:
    if run.finished:
        return "finished"
    stage = run.latest
    if stage is None:
        return "training" if run.process else "nothing yet"
    return f"{stage.name}  {_standing(stage)}"


def _curves(stage: StageStanding, ramp: str) -> list[str]:
    """One curve for each figure of the log, with its last value and its range."""
    names = [name for name in stage.rows[-1] if name not in ("step", "seconds")]
    width = max(map(len, names), default=0)
    told = []
    for name in names:
        values = [float(row[name]) for row in stage.rows if name in row]
        known = [value for value in values if isfinite(value)] or [float("nan")]
        drawn = f"{curve(values, ramp):<{CURVE}}"
        span = f"({min(known):.4g} to {max(known):.4g})"
        told.append(f"  {name:<{width}}  {drawn}  {values[-1]:<10.4g} {span}")
    return told
