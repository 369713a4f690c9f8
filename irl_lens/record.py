"""Copies of a run for others: its record, which is all but the weights, or the run to ship.

A record says what was asked for, what came out of every stage and how training went, in a
few hundred kilobytes: summaries and learning curves need no more. A bundle adds the weights
that act, matrices rounded to bfloat16: products in bfloat16, which ``precision="auto"`` takes
where the processor has them, round them so anyway.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from irl_lens.checkpoint import load_tensors, rounded, save_tensors, write_bytes
from irl_lens.errors import UserError
from irl_lens.runs import Run
from irl_lens.targets import is_temporary

CONFIG = "config.json"
"""What makes a folder a run, and comes last."""
WRITTEN = ("evaluation.json", CONFIG)
"""Files of a record beside those of the stages."""


def write_record(run: Run, folder: Path) -> Path:
    """Writes what is known of a run's finished stages, without weights.

    Args:
        run: The run, or a record of one.
        folder: Where to; nothing is written if it is the run's own.

    Returns:
        ``folder``, which :meth:`irl_lens.runs.Run.open` opens.
    """
    if folder.resolve() != run.folder.resolve():
        for path in _written(run):
            write_bytes(folder / path.relative_to(run.folder), path.read_bytes())
    return folder


def write_bundle(run: Run, folder: Path) -> Path:
    """Writes a finished run to ship: its record and the weights that act.

    Policies over the first subgoals only are left out, and so are snapshots of the base while
    it trained: nothing that acts asks for them again. The last file makes the folder a run; what
    a bundle left that was interrupted before is written again.

    Args:
        run: The run.
        folder: Where to; empty, not there yet, or begun by an interrupted bundle of the run.

    Raises:
        UserError: A stage is not finished, or something else is in the folder.
    """
    if missing := [name for name in run.chain if not run.stage(name).done]:
        raise UserError(f"{run.folder} is not finished: {', '.join(missing)} is missing")
    if there := _in_the_way(run, folder):
        raise UserError(f"{folder} is not empty, it has {there}; give another folder")
    for name, stage in run.finished().items():
        for file in ("weights.safetensors", "arrays.safetensors"):
            if (stage.folder / file).is_file():
                tensors, meta = load_tensors(stage.folder / file)
                save_tensors(folder / name / file, rounded(tensors), meta)
    return write_record(run, folder)


def _in_the_way(run: Run, folder: Path) -> Path | None:
    """The first file of a folder that is no part of a bundle of the run begun there."""
    if (folder / CONFIG).exists():
        return Path(CONFIG)
    files = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if not path.is_dir())
    return next((f for f in files if not (run.folder / f).is_file() and not is_temporary(f)), None)


def _written(run: Run) -> Iterator[Path]:
    """What a record consists of; what marks a stage as done comes after it, config.json last."""
    for stage in run.finished().values():
        yield from sorted(stage.folder.rglob("metrics.jsonl"))
        yield from sorted(stage.folder.rglob("result.json"), reverse=True)
    yield from (path for name in WRITTEN if (path := run.folder / name).is_file())
