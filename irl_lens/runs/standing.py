"""How far a run has come, read from its folder while another process may be training in it.

The time that a stage has left comes from its own log:

    left = (steps in all - steps done) * (seconds a step over the last SPEED lines of the log)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from irl_lens.files.lock import holder
from irl_lens.runs.chain import READS
from irl_lens.runs.finished import LOG
from irl_lens.runs.folder import RunFolder
from irl_lens.runs.stage import Stage

SPEED = 20
"""Lines of the log that say how fast it is now."""
State = Literal["done", "training", "trained", "stopped", "waiting"]


@dataclass(frozen=True)
class StageStanding:
    """One stage, or a part of one such as the training on a prefix of the task.

    Attributes:
        name: The stage's name, ``internal-rl/prefix-2`` of a part.
        state: ``trained`` has taken its steps and is not finished: it is being measured, or its
            parts are trained. ``stopped`` goes on with the same command.
        step: Steps completed by the last line of the log.
        total: Steps in all; fewer are taken where enough was learned.
        seconds: Time spent [s].
        left: Time left [s]; None where it is not training, or nothing tells the speed.
        rows: The log, one mapping a line.
    """

    name: str
    state: State
    step: int
    total: int
    seconds: float
    left: float | None
    rows: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Standing:
    """A run.

    Attributes:
        folder: Its folder.
        preset: Name of its preset.
        seed: Its seed.
        process: Who trains in it: ``pid``, ``host``, ``since``; None if nobody does.
        stages: In the order of the chain, parts below the stage that they are of.
    """

    folder: Path
    preset: str
    seed: int
    process: dict[str, int | str] | None
    stages: tuple[StageStanding, ...]

    @property
    def finished(self) -> bool:
        """Whether every stage is done."""
        return all(stage.state == "done" for stage in self.stages)

    @property
    def latest(self) -> StageStanding | None:
        """The stage that is training, or else the last that has a log."""
        logged = [stage for stage in self.stages if stage.rows]
        training = (stage for stage in logged if stage.state == "training")
        return next(training, logged[-1] if logged else None)


def standing(run: RunFolder) -> Standing:
    """Reads how far a run has come.

    Raises:
        CheckpointError: A file of a finished stage is damaged.
    """
    process = holder(run.folder)
    stages = list(_stages(run))
    open_logs = [stage for _, stage, _ in stages if not stage.done and _log(stage).is_file()]
    newest = max(open_logs, key=lambda stage: _log(stage).stat().st_mtime, default=None)
    active = newest if process is not None else None
    found = tuple(_of(name, stage, total, stage is active) for name, stage, total in stages)
    return Standing(run.folder, run.preset.name, run.seed, process, found)


def _stages(run: RunFolder) -> Iterator[tuple[str, Stage, int]]:
    """The stages with their parts: name, stage, and steps in all."""
    for name in run.chain:
        stage, config = run.stage(name), getattr(run.preset, READS[name][-1])
        yield name, stage, config.steps
        for path in sorted(stage.folder.glob(f"*/{LOG}")):
            part = stage.part(path.parent.name)
            yield f"{name}/{part.name}", part, config.of_prefixes.steps


def _of(name: str, stage: Stage, total: int, active: bool) -> StageStanding:
    rows = tuple(stage.metrics())
    step = rows[-1]["step"] if rows else 0
    seconds = stage.seconds if stage.done else rows[-1]["seconds"] if rows else 0.0
    if stage.done:
        return StageStanding(name, "done", step, total, seconds, None, rows)
    if rows and step >= total:
        return StageStanding(name, "trained", step, total, seconds, None, rows)
    if active:
        return StageStanding(name, "training", step, total, seconds, _left(rows, total), rows)
    return StageStanding(name, "stopped" if rows else "waiting", step, total, seconds, None, rows)


def _left(rows: tuple[dict[str, Any], ...], total: int) -> float | None:
    """Time left [s] at the speed of the last lines."""
    last = rows[-SPEED:]
    if len(last) < 2:
        return None
    steps, seconds = (last[-1][key] - last[0][key] for key in ("step", "seconds"))
    return (total - last[-1]["step"]) * seconds / steps if steps > 0 else None


def _log(stage: Stage) -> Path:
    return stage.folder / LOG
