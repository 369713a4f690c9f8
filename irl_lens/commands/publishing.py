"""Making something of runs for others: a table over seeds, a run to ship."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from irl_lens.commands.opening import load

if TYPE_CHECKING:
    from irl_lens.runs.run import Run


def summary(runs: Sequence[Run | Path | str], *, out: Path | str) -> Path:
    """Writes the median, lowest and highest of every measurement over runs of several seeds.

    Args:
        runs: Evaluated runs of one preset, or records of such that a summary left.
        out: Folder for summary.json, runs.json and the runs' records.

    Returns:
        The path of summary.json.

    Raises:
        UserError: If presets differ, a seed comes twice or a run is not evaluated.
    """
    from irl_lens.runs.seed_summary import write_summary

    return write_summary([load(run, "cpu") for run in runs], Path(out))


def bundle(run: Run | Path | str, *, out: Path | str) -> Path:
    """Copies a finished run to ship: its record, and the weights that act in half the bytes.

    Of raw-action RL the episodes that it plays are kept in place of its weights.

    Args:
        run: The run.
        out: An empty folder, or one that is not there yet, or what an interrupted bundle left.

    Returns:
        ``out``, which :func:`irl_lens.load` opens.

    Raises:
        UserError: A stage is not finished, or something else is in the folder.
    """
    from irl_lens.analyses.core.loaded_run import LoadedRun
    from irl_lens.analyses.learning.success import raw_episodes
    from irl_lens.runs.copies import check_bundle, write_bundle

    opened = load(run, "cpu")
    check_bundle(opened, Path(out))
    return write_bundle(opened, Path(out), raw_episodes(LoadedRun(opened)))
