"""Copies of a run for others: its record, which is all but the weights, or the run to ship.

A record says what was asked for, what came out of every stage and how training went, in a
few hundred kilobytes: summaries and learning curves need no more. Its stages say that they have
no weights. A bundle adds the weights that act, matrices rounded to bfloat16: products in
bfloat16, which ``precision="auto"`` takes where the processor has them, round them so anyway.
"""

from __future__ import annotations

from pathlib import Path

from irl_lens.errors import UserError
from irl_lens.files.sealed import read_sealed, write_sealed
from irl_lens.files.targets import is_temporary
from irl_lens.files.tensors import pack_tensors, read_bytes, rounded, write_bytes
from irl_lens.runs.finished import RESULT, TENSORS, WEIGHTS, mark_finished
from irl_lens.runs.folder import REMEDY, RunFolder
from irl_lens.runs.stage import Stage

SEALED = {"evaluation": "measure again with irl-lens evaluate", "config": REMEDY}
"""Files of a record beside those of the stages, and what to do when one is damaged; the last makes
its folder a run, and is written last."""


def write_record(run: RunFolder, folder: Path) -> Path:
    """Writes what is known of a run's finished stages, without weights.

    Args:
        run: The run, or a record of one.
        folder: Where to; nothing is written if it is the run's own.

    Returns:
        ``folder``, which :meth:`irl_lens.runs.folder.RunFolder.open` opens.

    Raises:
        CheckpointError: A file of the run is missing or damaged.
    """
    if folder.resolve() != run.folder.resolve():
        _write(run, folder, weights=False)
    return folder


def write_bundle(run: RunFolder, folder: Path) -> Path:
    """Writes a finished run to ship: its record and the weights that act.

    Policies over the first subgoals only are left out, and so are snapshots of the base while
    it trained: nothing that acts asks for them again. The last file makes the folder a run; what
    a bundle left that was interrupted before is written again.

    Args:
        run: The run.
        folder: Where to; empty, not there yet, or begun by an interrupted bundle of the run.

    Raises:
        UserError: A stage is not finished, or something else is in the folder.
        CheckpointError: A file of the run is missing or damaged, or it is a record.
    """
    if missing := [name for name in run.chain if not run.stage(name).done]:
        raise UserError(f"{run.folder} is not finished: {', '.join(missing)} is missing")
    if there := _in_the_way(run, folder):
        raise UserError(f"{folder} is not empty, it has {there}; give another folder")
    _write(run, folder, weights=True)
    return folder


def _in_the_way(run: RunFolder, folder: Path) -> Path | None:
    """The first file of a folder that is no part of a bundle of the run begun there."""
    if (config := folder / "config.json").exists():
        return Path(config.name)
    files = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if not path.is_dir())
    return next((f for f in files if not (run.folder / f).is_file() and not is_temporary(f)), None)


def _write(run: RunFolder, folder: Path, weights: bool) -> None:
    stages = {name: stage.finished() for name, stage in run.finished().items()}
    for finished in stages.values():  # all are looked at before anything is written
        finished.files()
        if weights:
            finished.tensors(WEIGHTS)
    for name in stages:
        _write_stage(run.stage(name), folder / name, weights)
    for kind, remedy in SEALED.items():
        if (path := run.folder / f"{kind}.json").exists():
            write_sealed(folder / path.name, kind, read_sealed(path, kind, remedy))


def _write_stage(stage: Stage, folder: Path, weights: bool) -> None:
    """Writes a copy of a stage; what marks it as finished comes last."""
    finished = stage.finished()
    files = {name: data for name, data in finished.files().items() if name != RESULT}
    for part in stage.parts():
        _write_stage(part, folder / part.name, False)
        files[f"{part.name}/{RESULT}"] = read_bytes(folder / part.name / RESULT)
    heavy = {n: pack_tensors(rounded(finished.tensors(n))) for n in files if n in TENSORS}
    files = {n: data for n, data in files.items() if n not in heavy} | (heavy if weights else {})
    for name, data in files.items():
        write_bytes(folder / name, data)
    mark_finished(folder, finished.made, files)
