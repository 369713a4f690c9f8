"""One stage of a run: its folder, its checkpoint, its log and what came out of it.

A stage is done when ``result.json`` is there (:mod:`irl_lens.runs.finished`); that file is written
last. Until then ``state.safetensors`` is where an interrupted stage continues. Snapshots of
what it trained, if it keeps any, are for looking back: no stage reads them, and copies of a run
leave them out. Whatever is read is checked: bits that are not as they were written are refused.
Of processes that train together the first alone writes, and the others read.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from irl_lens.errors import UserError
from irl_lens.files.tensors import (
    CheckpointError,
    load_tensors,
    pack_tensors,
    rounded,
    save_tensors,
    write_bytes,
)
from irl_lens.hooks.files.json_text import to_json
from irl_lens.processes import leads
from irl_lens.runs.finished import ARRAYS, LOG, RESULT, WEIGHTS, Finished, mark_finished
from irl_lens.runs.provenance import describe
from irl_lens.runs.tracking import Tracker


class Stage:
    """One stage's folder, made by :meth:`irl_lens.runs.folder.RunFolder.stage`.

    Attributes:
        name: The stage's name, also that of its folder.
        folder: Where its files are.
        whole: The stage that it is a part of, if it is one.
        trackers: Told of all that is logged.
    """

    def __init__(
        self, folder: Path, whole: Stage | None = None, trackers: Sequence[Tracker] = ()
    ) -> None:
        self.folder, self.whole, self.trackers = folder, whole, trackers
        self.name = folder.name
        self._banked = 0.0
        self._started: float | None = None

    @property
    def done(self) -> bool:
        """Whether the stage has finished."""
        return (self.folder / RESULT).exists()

    @property
    def version(self) -> bytes | None:
        """What tells a finished stage from the same one trained anew; None if it is not done."""
        path = self.folder / RESULT
        return path.read_bytes() if path.is_file() else None

    @property
    def begun(self) -> bool:
        """Whether anything of it has been saved."""
        return self.done or self._state_path.exists()

    @property
    def seconds(self) -> float:
        """Time spent in this stage [s], summed over interruptions; counts from load_state()."""
        if self.done:
            return float(self.finished().made["seconds"])
        running = 0.0 if self._started is None else time.monotonic() - self._started
        return self._banked + running

    def load_state(self) -> tuple[int, dict[str, Tensor]] | None:
        """Reads where to continue, cuts log and snapshots to it; starts the stage's clock.

        Returns:
            The number of steps completed and the tensors saved then; None to start afresh.

        Raises:
            CheckpointError: If the checkpoint is truncated or damaged.
        """
        if self.done:
            return None
        self._started = time.monotonic()
        if not self._state_path.exists():
            self._cut(0)
            self._begin(0)
            self._remove_parts()
            return None
        afresh = f"delete it to start the stage {self.name!r} afresh"
        tensors, meta = load_tensors(self._state_path, afresh)
        if meta.get("stage") != self.name:
            raise CheckpointError(
                f"{self._state_path} is of stage {meta.get('stage')!r}, not {self.name!r}; {afresh}"
            )
        step, self._banked = int(meta["step"]), float(meta["seconds"])
        self._cut(step)
        self._begin(step)
        return step, tensors

    def save_state(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Saves where to continue.

        Args:
            step: Steps completed so far.
            tensors: Everything that :meth:`load_state` must give back.

        Raises:
            OSError: If it cannot be written; the previous checkpoint is still there.
        """
        if not leads():
            return
        meta = {"step": str(step), "seconds": repr(self.seconds), "stage": self.name}
        save_tensors(self._state_path, tensors, meta)

    def save_snapshot(self, step: int, weights: Mapping[str, Tensor]) -> None:
        """Keeps what is trained as it is after some steps, matrices rounded to bfloat16.

        Args:
            step: Steps completed so far; a snapshot of the same number is replaced.
            weights: Trained tensors.

        Raises:
            OSError: If it cannot be written.
        """
        if not leads():
            return
        meta = {"step": str(step), "stage": self.name}
        save_tensors(self._snapshot_path(step), rounded(weights), meta)

    @property
    def snapshots(self) -> tuple[int, ...]:
        """Steps after which a snapshot was kept, in order; none in runs made before there were."""
        names = (path.stem for path in self._snapshot_path(0).parent.glob("*.safetensors"))
        return tuple(sorted(int(name) for name in names if name.isascii() and name.isdigit()))

    def snapshot(self, step: int) -> dict[str, Tensor]:
        """The weights given to :meth:`save_snapshot`, matrices in bfloat16.

        Raises:
            UserError: If there is none of that step.
            CheckpointError: If the file is damaged.
        """
        if step not in self.snapshots:
            there = ", ".join(map(str, self.snapshots)) or "none"
            raise UserError(
                f"stage {self.name!r} of {self.folder.parent} kept no snapshot after step {step}; "
                f"there are {there}"
            )
        path, without = self._snapshot_path(step), "delete it to do without this snapshot"
        tensors, meta = load_tensors(path, without)
        if meta != {"step": str(step), "stage": self.name}:
            raise CheckpointError(f"{path} is the snapshot of another moment, {meta}; {without}")
        return tensors

    def log(self, step: int, **metrics: float) -> None:
        """Appends one line to the metrics log.

        Args:
            step: Steps completed so far.
            metrics: Scalars.
        """
        if not leads():
            return
        row = {"step": step, "seconds": round(self.seconds, 3)}
        row |= {name: float(value) for name, value in metrics.items()}
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._log_path.open("a") as file:
            file.write(to_json(row) + "\n")
        for tracker in self.trackers:
            tracker.log(self.folder, step, {k: v for k, v in row.items() if k != "step"})

    def metrics(self) -> list[dict[str, Any]]:
        """The metrics log, one mapping a line: ``step``, ``seconds`` and metrics, NaN if missing.

        Raises:
            CheckpointError: If it is damaged.
        """
        if (self.whole or self).done or self.done:
            finished = self.finished()
            data = finished.file(LOG) if LOG in finished.made["files"] else b""
        else:
            data = self._log_path.read_bytes() if self._log_path.is_file() else b""
        # What follows the last end of a line was cut short by a crash or a full disk.
        return [_row(line, self._log_path) for line in data.split(b"\n")[:-1]]

    def finish(
        self,
        weights: Mapping[str, Tensor],
        result: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Writes what the stage made, marks it done and removes its checkpoint.

        Args:
            weights: Trained tensors, where they were trained: ``made_with`` tells the device.
            result: JSON-able values.
            arrays: Measurements too large for ``result``.
        """
        if not leads():
            return
        files = {WEIGHTS: pack_tensors(weights)}
        if arrays:
            tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
            files[ARRAYS] = pack_tensors(tensors)
        for name, data in files.items():
            write_bytes(self.folder / name, data)
        there = [*sorted(self.folder.glob(f"*/{RESULT}")), self._log_path]
        kept = {str(p.relative_to(self.folder)): p.read_bytes() for p in there if p.is_file()}
        made = {"stage": self.name, "result": dict(result), "seconds": self.seconds}
        device = next((tensor.device for tensor in weights.values()), None)
        mark_finished(self.folder, made | {"made_with": describe(device)}, kept | files)
        self._state_path.unlink(missing_ok=True)

    def part(self, name: str) -> Stage:
        """A stage within this one, in a folder of its own."""
        return Stage(self.folder / name, self, self.trackers)

    def parts(self) -> tuple[Stage, ...]:
        """The stages within a finished one, by name."""
        names = (Path(name) for name in self.finished().made["files"])
        return tuple(self.part(str(name.parent)) for name in names if name.name == RESULT)

    def files(self) -> dict[str, bytes]:
        """What a finished stage consists of, by name; the file that marks it done comes last.

        Raises:
            CheckpointError: If the stage is not done, or a file is damaged.
        """
        return self.finished().files()

    @property
    def result(self) -> dict[str, Any]:
        """The values given to :meth:`finish`; NaN where there is no number.

        Raises:
            CheckpointError: If the stage is not done, or the file is damaged.
        """
        return self.finished().result

    def made_with(self) -> dict[str, Any]:
        """Time spent [s], and the command, versions and commit that finished the stage.

        Raises:
            CheckpointError: If the stage is not done, or the file is damaged.
        """
        made = self.finished().made
        return {"seconds": made["seconds"]} | made["made_with"]

    def weights(self) -> dict[str, Tensor]:
        """The weights given to :meth:`finish`.

        Raises:
            CheckpointError: If the stage is not done, is a record, or the file is damaged.
        """
        return self.finished().tensors(WEIGHTS)

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays given to :meth:`finish`; empty when there were none.

        Raises:
            CheckpointError: If the stage is not done, is a record, or the file is damaged.
        """
        finished = self.finished()
        if ARRAYS not in finished.made["files"] and WEIGHTS in finished.made["files"]:
            return {}
        return {name: tensor.numpy() for name, tensor in finished.tensors(ARRAYS).items()}

    def finished(self) -> Finished:
        """What the stage consists of; CheckpointError if it is not done, or damaged."""
        if self.whole is not None and self.whole.done:
            self.whole.finished().file(f"{self.name}/{RESULT}")
        whole = self.whole or self
        if not self.done:
            run = whole.folder.parent
            raise CheckpointError(
                f"stage {whole.name!r} of {run} is not finished; run it first: "
                f"irl-lens train {whole.name} --preset PRESET --out {run}"
            )
        remedy = (
            f"put it back from a copy, or delete the folder {whole.folder} and give the command "
            "that made it again"
        )
        return Finished.read(self.folder, remedy)

    @property
    def _state_path(self) -> Path:
        return self.folder / "state.safetensors"

    def _snapshot_path(self, step: int) -> Path:
        return self.folder / "snapshots" / f"{step}.safetensors"

    @property
    def _log_path(self) -> Path:
        return self.folder / LOG

    def _begin(self, step: int) -> None:
        for tracker in self.trackers:
            tracker.begin(self.folder, step)

    def _remove_parts(self) -> None:
        """Has the stages within this one begin afresh too."""
        if not leads():
            return
        for name in (RESULT, self._state_path.name):
            for path in self.folder.glob(f"*/{name}"):
                path.unlink()

    def _cut(self, step: int) -> None:
        """Drops what came after a step: it will come again, or the run is another one now."""
        if not leads():
            return
        for later in self.snapshots:
            if later > step:
                self._snapshot_path(later).unlink()
        if self._log_path.is_file():
            kept = [to_json(row) + "\n" for row in self.metrics() if row["step"] <= step]
            write_bytes(self._log_path, "".join(kept).encode())


def _row(line: bytes, path: Path) -> dict[str, Any]:
    try:
        values = {k: math.nan if v is None else v for k, v in json.loads(line).items()}
        return {"step": int(values["step"])} | values
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged ({error!r}); delete it to do without") from error
