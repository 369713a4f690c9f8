"""One table over the seeds of a preset: what ``results/`` publishes.

For each measurement the median over seeds, and the lowest and the highest: with a handful
of seeds quartiles would look narrower than what was seen.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from irl_lens.errors import UserError
from irl_lens.files.json_files import write_json
from irl_lens.files.sealed import write_sealed
from irl_lens.files.tensors import write_bytes
from irl_lens.runs.copies import write_record
from irl_lens.runs.folder import RunFolder, first_difference


def write_evaluation(path: Path, measured: dict[str, float]) -> None:
    """Writes measurements; those that are not finite become null, as JSON has no others."""
    values = {name: float(value) for name, value in sorted(measured.items())}
    write_sealed(path, "evaluation", {"measured": values})


def write_summary(runs: Sequence[RunFolder], folder: Path) -> Path:
    """Writes ``summary.json``, the same as a table, ``runs.json`` with versions and hardware, and
    every run's record to ``runs/seed-N``, from which all of it can be made again.

    Args:
        runs: Evaluated runs of one preset, or their records, each of another seed.
        folder: Where to.

    Returns:
        The path of ``summary.json``.

    Raises:
        UserError: If presets differ, a seed comes twice or a run is not evaluated.
        CheckpointError: If a file of a run is damaged; nothing is written then.
    """
    runs = sorted(runs, key=lambda run: run.seed)
    _check(runs)
    measured = {run.seed: _evaluation(run) for run in runs}
    names = sorted({name for values in measured.values() for name in values})
    preset = runs[0].preset.name
    spread = {name: _spread(preset, name, measured) for name in names}
    write_json(folder / "summary.json", spread)
    write_bytes(folder / "summary.md", _table(preset, spread).encode())
    write_json(folder / "runs.json", [_provenance(run) for run in runs])
    for run in runs:
        write_record(run, folder / "runs" / f"seed-{run.seed}")
    return folder / "summary.json"


def _check(runs: Sequence[RunFolder]) -> None:
    if not runs:
        raise UserError("a summary needs at least one run")
    for before, after in pairwise(runs):
        if before.preset != after.preset:
            one, other = first_difference(before.preset.to_dict(), after.preset.to_dict())
            raise UserError(
                f"a summary is of one preset with the same settings: {before.folder} has {one} "
                f"and {after.folder} {other}; leave one of them out"
            )
        if before.seed == after.seed:
            raise UserError(f"{before.folder} and {after.folder} both have seed {after.seed}")


def _evaluation(run: RunFolder) -> dict[str, float]:
    return {name: value for name, value in run.evaluation.items() if not math.isnan(value)}


def _spread(preset: str, name: str, measured: dict[int, dict[str, float]]) -> dict[str, Any]:
    values = {seed: found[name] for seed, found in measured.items() if name in found}
    return {
        "median": statistics.median(values.values()),
        "low": min(values.values()),
        "high": max(values.values()),
        "spread": "range over seeds",
        "seeds": list(values),
        "command": "; ".join(f"irl-lens run {preset} --seed {seed}" for seed in values),
    }


def _table(preset: str, spread: dict[str, dict[str, Any]]) -> str:
    """The summary as Markdown, for people."""
    seeds = sorted({seed for row in spread.values() for seed in row["seeds"]})
    lines = [
        f"`irl-lens run {preset} --seed N` for N in {', '.join(map(str, seeds))}; median, lowest",
        "and highest of the seeds. Versions, commits and hardware are in `runs.json`.",
        "",
        "| measurement | median | low | high |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{name}` | {row['median']:.3g} | {row['low']:.3g} | {row['high']:.3g} |"
        for name, row in spread.items()
    ]
    return "\n".join(lines) + "\n"


def _provenance(run: RunFolder) -> dict[str, Any]:
    kept = ("seed", "versions", "commit", "cores", "threads")
    stages = {name: stage.made_with() for name, stage in run.finished().items()}
    return {key: run.config[key] for key in kept} | {"stages": stages}
