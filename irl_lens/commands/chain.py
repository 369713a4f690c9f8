"""Runs a stage by its name: gathers the functions that train, which register themselves."""

from __future__ import annotations

import irl_lens.rl.compile
import irl_lens.rl.internal
import irl_lens.rl.raw
import irl_lens.training.codes
import irl_lens.training.compile
import irl_lens.training.controllers
import irl_lens.training.discovery
import irl_lens.training.pretrain
import irl_lens.training.surprise  # noqa: F401
from irl_lens.progress import Progress
from irl_lens.runs.run import Run
from irl_lens.training.stages import TRAINERS


def run_stage(name: str, run: Run, progress: Progress) -> None:
    """Runs a stage where it stands; of a finished one it checks the files.

    Args:
        name: The stage.
        run: The run; the stages before must be finished.
        progress: Told of every step.

    Raises:
        UserError: There is no such stage.
        CheckpointError: A stage before is not finished, or a file is damaged.
    """
    stage = run.stage(name)
    if stage.done:
        stage.files()
    else:
        TRAINERS[name](run, progress)
