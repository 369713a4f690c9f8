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

WRITTEN = ("config.json", "evaluation.json")
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
    it trained: nothing that acts asks for them again.

    Args:
        run: The run.
        folder: Where to, empty or not there yet.

    Raises:
        UserError: A stage is not finished, or something is in the folder.
    """
    if missing := [name for name in run.chain if not run.stage(name).done]:
        raise UserError(f"{run.folder} is not finished: {', '.join(missing)} is missing")
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty; give another folder")
    for name, stage in run.finished().items():
        for file in ("weights.safetensors", "arrays.safetensors"):
            if (stage.folder / file).is_file():
                tensors, meta = load_tensors(stage.folder / file)
                save_tensors(folder / name / file, rounded(tensors), meta)
    return write_record(run, folder)


def _written(run: Run) -> Iterator[Path]:
    yield from (path for name in WRITTEN if (path := run.folder / name).is_file())
    for stage in run.finished().values():
        # What marks a stage as done comes last.
        yield from sorted(stage.folder.rglob("metrics.jsonl"))
        yield from sorted(stage.folder.rglob("result.json"), reverse=True)
