"""Copies of a run for others: its record, which is all but the weights, or the run to ship.

A record says what was asked for, what came out of every stage and how training went, in a
few hundred kilobytes: summaries and learning curves need no more. Its stages say that they have
no weights. A bundle adds the weights that act, matrices rounded to bfloat16: products in
bfloat16, which ``precision="auto"`` takes where the processor has them, round them so anyway. What
is only compared with or has been trained further stays behind: of raw-action RL the episodes that
it played are there in place of its weights, of the metacontroller the one that has codes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from irl_lens.errors import UserError
from irl_lens.files.sealed import read_sealed, write_sealed
from irl_lens.files.targets import is_temporary
from irl_lens.files.tensors import pack_tensors, read_bytes, rounded, write_bytes
from irl_lens.runs.finished import ARRAYS, RESULT, TENSORS, WEIGHTS, mark_finished
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
        _write(run, folder, {})
    return folder


def write_bundle(run: RunFolder, folder: Path, raw: Mapping[str, np.ndarray]) -> Path:
    """Writes a finished run to ship: its record and the weights that act.

    Policies over the first subgoals only are left out, and so are snapshots of the base while
    it trained: nothing that acts asks for them again. The last file makes the folder a run; what
    a bundle left that was interrupted before is written again.

    Args:
        run: The run.
        folder: Where to; empty, not there yet, or begun by an interrupted bundle of the run.
        raw: Episodes that raw-action RL played, kept in place of its weights: what
            :func:`irl_lens.analyses.learning.success.raw_episodes` gives.

    Raises:
        UserError: A stage is not finished, or something else is in the folder.
        CheckpointError: A file of the run is missing or damaged, or it is a record.
    """
    check_bundle(run, folder)
    episodes = {name: torch.from_numpy(array) for name, array in raw.items()}
    heavy = {name: _heavy(run.stage(name)) for name in run.finished() if name in _acting(run)}
    _write(run, folder, heavy | {"raw-rl": {ARRAYS: pack_tensors(episodes)}})
    return folder


def check_bundle(run: RunFolder, folder: Path) -> None:
    """Makes sure that a run can be bundled and a folder is free.

    Raises:
        UserError: A stage is not finished, or something else is in the folder.
    """
    if missing := [name for name in run.chain if not run.stage(name).done]:
        raise UserError(f"{run.folder} is not finished: {', '.join(missing)} is missing")
    if there := _in_the_way(run, folder):
        raise UserError(f"{folder} is not empty, it has {there}; give another folder")


def _acting(run: RunFolder) -> set[str]:
    """The stages whose weights are shipped."""
    behind = {"metacontroller", "switches", "raw-rl"} - {run.metacontroller_stage, run.base_stage}
    return set(run.finished()) - behind


def _heavy(stage: Stage) -> dict[str, bytes]:
    """The tensors of a stage, matrices rounded: the content of files by name."""
    finished = stage.finished()
    finished.file(WEIGHTS)  # a record has none, and says so
    there = [name for name in TENSORS if name in finished.made["files"]]
    return {name: pack_tensors(rounded(finished.tensors(name))) for name in there}


def _in_the_way(run: RunFolder, folder: Path) -> Path | None:
    """The first file of a folder that is no part of a bundle of the run begun there."""
    if (config := folder / "config.json").exists():
        return Path(config.name)
    files = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if not path.is_dir())
    return next((f for f in files if not (run.folder / f).is_file() and not is_temporary(f)), None)


def _write(run: RunFolder, folder: Path, heavy: Mapping[str, Mapping[str, bytes]]) -> None:
    """Writes a record, and of some stages files of tensors."""
    stages = {name: stage.finished() for name, stage in run.finished().items()}
    for finished in stages.values():  # all are looked at before anything is written
        finished.files()
    for name in stages:
        _write_stage(run.stage(name), folder / name, heavy.get(name, {}))
    for kind, remedy in SEALED.items():
        if (path := run.folder / f"{kind}.json").exists():
            write_sealed(folder / path.name, kind, read_sealed(path, kind, remedy))


def _write_stage(stage: Stage, folder: Path, heavy: Mapping[str, bytes]) -> None:
    """Writes a copy of a stage; what marks it as finished comes last."""
    finished = stage.finished()
    files = {n: data for n, data in finished.files().items() if n not in (RESULT, *TENSORS)}
    for part in stage.parts():
        _write_stage(part, folder / part.name, {})
        files[f"{part.name}/{RESULT}"] = read_bytes(folder / part.name / RESULT)
    files |= heavy
    for name, data in files.items():
        write_bytes(folder / name, data)
    mark_finished(folder, finished.made, files)
