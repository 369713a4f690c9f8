"""A run's numbers on another task than the held-out one: ``irl-lens evaluate RUN --task ..``."""

from __future__ import annotations

from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.registry import analysis
from irl_lens.analyses.zero_shot.condition import Measurement
from irl_lens.envs.contracts import Varied, ask
from irl_lens.envs.protocol import World
from irl_lens.progress import Progress
from irl_lens.runs.run import Run


def asked(run: Run, task: str) -> World:
    """Returns the run's world with another task.

    Args:
        run: The run.
        task: Its abstract subgoals in order, joined by dashes.

    Raises:
        NotOffered: The world can be asked for no other task.
        UserError: There is no such task, or the metacontroller is not trained.
    """
    analysis("zero-shot").check(run)
    return ask(run.world, Varied, "another task").varied(f"task={task}")


def on_task(run: Run, world: World, progress: Progress) -> dict[str, float]:
    """Measures a run on another task, by the names that the figures of its own task have."""
    progress.stage("another task", 1)
    numbers = Measurement(LoadedRun(run)).of(world, "another task").numbers()
    progress.update(1)
    return numbers
