"""The loop that every trained stage runs in: resume, step, log, checkpoint.

A step is a function of (seed, i) and of the state, and of nothing else; so a stage that was
interrupted and continued ends with the same bits as one that was not. Training that comes to
numbers that are not finite ends there, and leaves the last checkpoint as it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from irl_lens.errors import UserError
from irl_lens.files.tensors import CheckpointError
from irl_lens.processes import here, totals, wait
from irl_lens.progress import Progress
from irl_lens.runs.stage import Stage
from irl_lens.training.finite import DivergedError, not_finite
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
    raised; in all processes that train together, at the same step. After the last step the state
    is saved too; :func:`finish` is the caller's.

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
        LostProcessError: If another of the processes that train together ended.
        UserError: If these stand at different steps.
        DivergedError: If a figure or anything of the state is not finite; the step's figures are
            not logged, and the last checkpoint stays as it was.
        KeyboardInterrupt: After Ctrl-C.
    """
    completed = saved = _resume(stage, job)
    _require_same(stage, completed)
    progress.stage(stage.name, job.steps)
    progress.update(completed)
    after(completed)
    saved_at = time.monotonic()
    over = completed >= job.steps or until()
    with deferred_interrupt() as interrupt:
        while not over:
            figures = job.step(completed)
            completed += 1
            state = job.state()
            _require_finite(stage, completed, saved, {**figures, **state})
            over = completed == job.steps or until()
            progress.update(completed, **figures)
            if completed % log_every == 0 or completed == 1 or over:
                stage.log(completed, **figures)
            after(completed)
            due = time.monotonic() - saved_at >= checkpoint_seconds
            stopped = totals({"pending": interrupt.pending})["pending"] > 0
            if due or stopped or over:
                stage.save_state(completed, state)
                saved, saved_at = completed, time.monotonic()
            if stopped:
                raise KeyboardInterrupt(f"stage {stage.name} stopped after step {completed}")


def finish(stage: Stage, weights: Mapping[str, Tensor], result: Mapping[str, Any]) -> None:
    """Marks a stage as done; see :meth:`irl_lens.runs.stage.Stage.finish`.

    Raises:
        DivergedError: If a weight or a figure of the result is not finite.
    """
    figures = {name: value for name, value in result.items() if isinstance(value, float)}
    if name := not_finite({**weights, **figures}):
        raise DivergedError(
            f"stage {stage.name} in {stage.folder} ends with numbers that are not finite ({name}), "
            "so it does not count as done; its last checkpoint is kept"
        )
    stage.finish(weights, result)
    wait()  # no other process reads it before it is there


def _require_same(stage: Stage, completed: int) -> None:
    number, count = here()
    first = totals({"step": 0 if number else completed})["step"]
    if totals({"apart": first != completed})["apart"]:
        raise UserError(
            f"of {count} processes one stands at step {completed} of stage {stage.name}, and the "
            f"first at step {first:g}: {stage.folder} must be the same folder on all machines"
        )


def _require_finite(
    stage: Stage, completed: int, saved: int, values: Mapping[str, Tensor | float]
) -> None:
    if name := not_finite(values):
        kept = f"its checkpoint after step {saved} is kept"
        raise DivergedError(
            f"stage {stage.name} in {stage.folder} came to numbers that are not finite in step "
            f"{completed} ({name}); {kept if saved else 'no checkpoint of it was saved before'}"
        )


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
    if name := not_finite(tensors):
        raise CheckpointError(
            f"the checkpoint in {stage.folder} has numbers that are not finite ({name}); "
            "delete it to start the stage afresh"
        )
    return step
