"""The loop that every trained stage runs in: resume, step, log, checkpoint.

A step is a function of (seed, i) and of the state, and of nothing else; so a stage that was
interrupted and continued ends with the same bits as one that was not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

from torch import Tensor

from irl_lens.checkpoint import CheckpointError
from irl_lens.progress import Progress
from irl_lens.stage import Stage
from irl_lens.training.interrupt import deferred_interrupt


@runtime_checkable
class Job(Protocol):
    """Something trained step by step."""

    @property
    def steps(self) -> int:
        """How many steps the whole training has."""
        ...

    def step(self, i: int) -> dict[str, float]:
        """Does optimisation step ``i`` (0-based) and returns its figures.

        Deterministic in (seed, i) and the state: the batch comes from stream index ``i``,
        torch noise from a generator seeded by (seed, i).
        """
        ...

    def state(self) -> dict[str, Tensor]:
        """Everything that the next step depends on: parameters, optimiser, averages."""
        ...

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Restores what :meth:`state` returned."""
        ...


def train(
    stage: Stage,
    job: Job,
    progress: Progress,
    checkpoint_seconds: float = 60.0,
    log_every: int = 10,
    until: Callable[[], bool] = lambda: False,
    after: Callable[[int], None] = lambda completed: None,
) -> None:
    """Runs a job from where its stage stands to its end.

    Ctrl-C takes effect at the end of the step: the state is saved, then KeyboardInterrupt is
    raised. After the last step the state is saved too; ``stage.finish`` is the caller's.

    Args:
        stage: Where the checkpoint and the log are.
        job: What is trained.
        progress: Told of every step.
        checkpoint_seconds: Time between checkpoints [s].
        log_every: Steps between lines of the log; the first and the last step are logged too.
        until: Whether, by the job's state, no more steps are wanted.
        after: Told how many steps are completed: before the first, and after each before the
            state is saved.

    Raises:
        CheckpointError: If the checkpoint is damaged, or does not fit the job.
        KeyboardInterrupt: After Ctrl-C.
    """
    completed = _resume(stage, job)
    progress.stage(stage.name, job.steps)
    progress.update(completed)
    after(completed)
    saved_at = time.monotonic()
    over = completed >= job.steps or until()
    with deferred_interrupt() as interrupt:
        while not over:
            figures = job.step(completed)
            completed += 1
            over = completed == job.steps or until()
            progress.update(completed, **figures)
            if completed % log_every == 0 or completed == 1 or over:
                stage.log(completed, **figures)
            after(completed)
            due = time.monotonic() - saved_at >= checkpoint_seconds
            if due or interrupt.pending or over:
                stage.save_state(completed, job.state())
                saved_at = time.monotonic()
            if interrupt.pending:
                raise KeyboardInterrupt(f"stage {stage.name} stopped after step {completed}")


def _resume(stage: Stage, job: Job) -> int:
    found = stage.load_state()
    if found is None:
        return 0
    step, tensors = found
    try:
        job.load(tensors)
    except CheckpointError:
        raise
    except (KeyError, RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"the checkpoint in {stage.folder} does not fit this model ({error}); "
            "delete it to start the stage afresh"
        ) from error
    return step
