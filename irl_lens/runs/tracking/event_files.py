"""TensorBoard's event files, in each stage's folder: ``tensorboard --logdir RUN`` shows them.

A stage that goes on from a checkpoint begins another file there, which tells TensorBoard from which
step on it replaces the ones before.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

FLUSH_SECONDS = 10


class EventFiles:
    """Writes event files; a :class:`irl_lens.runs.tracking.Tracker`."""

    def __init__(self) -> None:
        self._writers: dict[Path, SummaryWriter] = {}

    def begin(self, folder: Path, step: int) -> None:
        """Begins another file of the stage."""
        if folder in self._writers:
            self._writers[folder].close()
        self._writers[folder] = SummaryWriter(
            str(folder), purge_step=step + 1, flush_secs=FLUSH_SECONDS
        )

    def log(self, folder: Path, step: int, figures: Mapping[str, float]) -> None:
        """Writes each figure under its name."""
        for name, value in figures.items():
            self._writers[folder].add_scalar(name, value, step)

    def close(self) -> None:
        """Writes out what is not written yet."""
        for writer in self._writers.values():
            writer.close()
