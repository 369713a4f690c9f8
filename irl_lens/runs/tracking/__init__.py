"""Logs of a run for other programs' dashboards, beside its own: TensorBoard, Weights & Biases.

Whatever a stage writes to ``metrics.jsonl`` is handed on, the same numbers at the same steps. Both
need libraries that come with extras of the same name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from irl_lens.errors import UserError

TRACKERS = "tensorboard", "wandb"
"""Names of the trackers, of the libraries they need, and of the extras that bring those."""


@runtime_checkable
class Tracker(Protocol):
    """What is told of a run's logs."""

    def begin(self, folder: Path, step: int) -> None:
        """A stage begins or goes on; what was told of it after ``step`` comes again."""
        ...

    def log(self, folder: Path, step: int, figures: Mapping[str, float]) -> None:
        """A stage, known by its folder, has come to these figures after so many steps."""
        ...

    def close(self) -> None:
        """Nothing more comes."""
        ...


def check_trackers(names: Sequence[str]) -> None:
    """Makes sure that there are such trackers, and what they need.

    Raises:
        UserError: There is none of that name, or its library is not installed.
    """
    for name in names:
        if name not in TRACKERS:
            raise UserError(f"--track {name}: take {' or '.join(TRACKERS)}")
        if find_spec(name) is None:
            raise UserError(f'--track {name} needs a library: pip install "irl-lens[{name}]"')


def make_tracker(name: str, folder: Path, config: Mapping[str, Any]) -> Tracker:
    """Makes a tracker.

    Args:
        name: One of :data:`TRACKERS`.
        folder: The run's folder.
        config: Preset and seed, as JSON-able values.
    """
    if name == "tensorboard":
        from irl_lens.runs.tracking.event_files import EventFiles

        return EventFiles()
    from irl_lens.runs.tracking.weights_and_biases import WeightsAndBiases

    return WeightsAndBiases(folder, config)
