"""What all functions that train a stage share: once, alone in the run's folder, or a reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import wraps

from irl_lens.files.lock import locked
from irl_lens.progress import Progress
from irl_lens.runs.chain import READS
from irl_lens.runs.run import Run
from irl_lens.training.finite import DivergedError

StageFunction = Callable[[Run, Progress], None]
TRAINERS: dict[str, StageFunction] = {}
"""The function that runs each stage, of the modules imported so far; :func:`trains` adds it."""


def trains(name: str) -> Callable[[StageFunction], StageFunction]:
    """Makes a function that trains a stage leave a finished one alone, and lock the run.

    It may raise, beside what the function does:
        BusyError: If another process has the run.
        DivergedError: If training came to numbers that are not finite; names what to change.

    Args:
        name: The stage.
    """

    def decorate(train: StageFunction) -> StageFunction:
        @wraps(train)
        def train_once(run: Run, progress: Progress) -> None:
            if run.stage(name).done:  # and its folder perhaps read-only
                return
            with locked(run.folder):
                if run.stage(name).done:  # by the process that had the lock until now
                    return
                try:
                    train(run, progress)
                except DivergedError as error:
                    raise DivergedError(f"{error}; {_remedy(run, name)}") from error

        TRAINERS[name] = train_once
        return train_once

    return decorate


def _remedy(run: Run, name: str) -> str:
    """What to change, and how: the settings of a stage that has begun stay as they are."""
    part, stage = READS[name][-1], run.stage(name)
    rates = {
        f"{part}.{setting}": value
        for setting, value in asdict(getattr(run.preset, part)).items()
        if setting.endswith("lr") and value
    }
    highest = max(rates, key=lambda setting: rates[setting])
    afresh = f"delete {stage.folder} and " if stage.begun else ""
    return (
        f"most likely {highest} = {rates[highest]:g} is too high; to start the stage afresh, "
        f"{afresh}give the command again with --set {highest}={min(1e-3, rates[highest] / 10):g}"
    )
