"""Weights & Biases: ``wandb/`` in the run's folder, which ``wandb sync`` uploads when told to.

Nothing leaves the machine unless ``WANDB_MODE=online`` says so. Each command that trains makes one
of its runs, in a group named like the folder. It is told preset, seed and log, and what the library
notes of a machine by itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wandb

PROJECT = "irl-lens"
"""Where runs go unless ``WANDB_PROJECT`` names another project."""


class WeightsAndBiases:
    """Tells Weights & Biases; a :class:`irl_lens.runs.tracking.Tracker`.

    Args:
        folder: The run's folder.
        config: Preset and seed, as JSON-able values.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self._folder, self._begun = folder, set[str]()
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            dir=folder,
            group=folder.name,
            config=dict(config),
            mode="online" if os.environ.get("WANDB_MODE") == "online" else "offline",
            settings=wandb.Settings(silent=True, console="off", disable_git=True, save_code=False),
        )

    def begin(self, folder: Path, step: int) -> None:
        """Draws the stage's figures over its own steps."""
        if (name := self._name(folder)) not in self._begun:
            self._begun.add(name)
            self._run.define_metric(f"{name}/step")
            self._run.define_metric(f"{name}/*", step_metric=f"{name}/step")

    def log(self, folder: Path, step: int, figures: Mapping[str, float]) -> None:
        """Tells the figures as STAGE/NAME."""
        name = self._name(folder)
        told = {f"{name}/{figure}": value for figure, value in figures.items()}
        self._run.log({f"{name}/step": step, **told})

    def close(self) -> None:
        """Writes out what is not written yet."""
        self._run.finish()

    def _name(self, folder: Path) -> str:
        return str(folder.relative_to(self._folder))
