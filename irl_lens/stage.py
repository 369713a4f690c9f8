"""One stage of a run: its folder, its checkpoint, its log and what came out of it.

A stage is done when ``result.json`` is there; that file is written last. Until then
``state.safetensors`` is where an interrupted stage continues. Snapshots of what it trained,
if it keeps any, are for looking back: no stage reads them, and copies of a run leave them out.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from irl_lens.checkpoint import (
    CheckpointError,
    load_tensors,
    read_json,
    rounded,
    save_tensors,
    write_bytes,
    write_json,
)
from irl_lens.errors import UserError
from irl_lens.provenance import describe


class Stage:
    """One stage's folder, made by :meth:`irl_lens.runs.Run.stage`.

    Attributes:
        name: The stage's name, also that of its folder.
        folder: Where its files are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        self._banked = 0.0
        self._started: float | None = None

    @property
    def done(self) -> bool:
        """Whether the stage has finished."""
        return (self.folder / "result.json").is_file()

    @property
    def begun(self) -> bool:
        """Whether anything of it has been saved."""
        return self.done or self._state_path.is_file()

    @property
    def seconds(self) -> float:
        """Time spent in this stage [s], summed over interruptions; counts from load_state()."""
        if self.done:
            return float(self._finished()["seconds"])
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
        if not self._state_path.is_file():
            self._cut(0)
            return None
        tensors, meta = load_tensors(self._state_path)
        if meta.get("stage") != self.name:
            raise CheckpointError(
                f"{self._state_path} is of stage {meta.get('stage')!r}, not {self.name!r}; "
                "delete it to start this stage afresh"
            )
        step, self._banked = int(meta["step"]), float(meta["seconds"])
        self._cut(step)
        return step, tensors

    def save_state(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Saves where to continue.

        Args:
            step: Steps completed so far.
            tensors: Everything that :meth:`load_state` must give back.

        Raises:
            OSError: If it cannot be written; the previous checkpoint is still there.
        """
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
        save_tensors(self._snapshot_path(step), rounded(weights), {"step": str(step)})

    @property
    def snapshots(self) -> tuple[int, ...]:
        """Steps after which a snapshot was kept, in order; none in runs made before there were."""
        names = (path.stem for path in self._snapshot_path(0).parent.glob("*.safetensors"))
        return tuple(sorted(int(name) for name in names if name.isdigit()))

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
        return load_tensors(self._snapshot_path(step))[0]

    def log(self, step: int, **metrics: float) -> None:
        """Appends one line to the metrics log.

        Args:
            step: Steps completed so far.
            metrics: Scalars.
        """
        row = {"step": step, "seconds": round(self.seconds, 3)}
        row |= {name: float(value) for name, value in metrics.items()}
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._log_path.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def metrics(self) -> list[dict[str, Any]]:
        """The metrics log, one mapping a line, keys ``step``, ``seconds`` and the metrics."""
        if not self._log_path.is_file():
            return []
        rows = []
        for line in self._log_path.read_text().splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:  # a line that a crash or a full disk cut short is the last one
                break
        return rows

    def finish(
        self,
        weights: Mapping[str, Tensor],
        result: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Writes what the stage made, marks it done and removes its checkpoint.

        Args:
            weights: Trained tensors.
            result: JSON-able values.
            arrays: Measurements too large for ``result``.
        """
        seconds = self.seconds
        save_tensors(self.folder / "weights.safetensors", weights)
        if arrays:
            tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
            save_tensors(self.folder / "arrays.safetensors", tensors)
        made = {"result": dict(result), "seconds": seconds, "made_with": describe()}
        write_json(self.folder / "result.json", made)
        self._state_path.unlink(missing_ok=True)

    def files(self) -> dict[str, bytes]:
        """What a finished stage consists of, by name; the file that marks it done comes last.

        Raises:
            CheckpointError: If the stage is not done.
        """
        self._finished()
        names = ("metrics.jsonl", "weights.safetensors", "arrays.safetensors", "result.json")
        paths = (self.folder / name for name in names)
        return {path.name: path.read_bytes() for path in paths if path.is_file()}

    @property
    def result(self) -> dict[str, Any]:
        """The values given to :meth:`finish`.

        Raises:
            CheckpointError: If the stage is not done.
        """
        return self._finished()["result"]

    def made_with(self) -> dict[str, Any]:
        """Time spent [s], and the command, versions and commit that finished the stage.

        Raises:
            CheckpointError: If the stage is not done.
        """
        made = self._finished()
        return {"seconds": made["seconds"]} | made["made_with"]

    def weights(self) -> dict[str, Tensor]:
        """The weights given to :meth:`finish`.

        Raises:
            CheckpointError: If the stage is not done, or the file is damaged.
        """
        self._finished()
        return load_tensors(self.folder / "weights.safetensors")[0]

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays given to :meth:`finish`; empty when there were none.

        Raises:
            CheckpointError: If the stage is not done, or the file is damaged.
        """
        self._finished()
        path = self.folder / "arrays.safetensors"
        tensors = load_tensors(path)[0] if path.is_file() else {}
        return {name: tensor.numpy() for name, tensor in tensors.items()}

    @property
    def _state_path(self) -> Path:
        return self.folder / "state.safetensors"

    def _snapshot_path(self, step: int) -> Path:
        return self.folder / "snapshots" / f"{step}.safetensors"

    @property
    def _log_path(self) -> Path:
        return self.folder / "metrics.jsonl"

    def _finished(self) -> dict[str, Any]:
        if not self.done:
            raise CheckpointError(
                f"stage {self.name!r} of {self.folder.parent} is not finished; "
                f"run it first (irl-lens train {self.name})"
            )
        return read_json(self.folder / "result.json")

    def _cut(self, step: int) -> None:
        """Drops what came after a step: it will come again, or the run is another one now."""
        for later in self.snapshots:
            if later > step:
                self._snapshot_path(later).unlink()
        if self._log_path.is_file():
            kept = [json.dumps(row) + "\n" for row in self.metrics() if row["step"] <= step]
            write_bytes(self._log_path, "".join(kept).encode())
