"""Sweeps: stages of a run for each combination of settings and seed, one or several at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from irl_lens.commands.opening import load, showing_progress
from irl_lens.commands.training import (
    check_stages,
    check_threads,
    checked,
    opened_for_training,
    run_stages,
)
from irl_lens.errors import UserError
from irl_lens.runs.chain import READS
from irl_lens.runs.tracking import check_trackers

if TYPE_CHECKING:
    import torch

    from irl_lens.config.schema import Preset
    from irl_lens.progress import Progress
    from irl_lens.runs.run import Run


@dataclass(frozen=True)
class SweptRun:
    """How a run of a sweep ended.

    Attributes:
        folder: Its folder.
        state: Whether its stages are done, had been before, or failed.
        seconds: How long they took now [s].
        why: What failed.
    """

    folder: Path
    state: Literal["done", "done before", "failed"]
    seconds: float = 0.0
    why: str = ""


@dataclass(frozen=True)
class _Job:
    """One run of a sweep, as a worker is handed it."""

    stages: tuple[str, ...]
    preset: Preset
    folder: Path
    seed: int
    threads: int | None
    device: torch.device | str | None
    base: Path | None
    track: tuple[str, ...]

    def run(self, progress: Progress | None = None) -> SweptRun:
        """Runs its stages, those that are done aside."""
        began, given = time.monotonic(), (self.threads, self.device, self.base, self.track)
        with opened_for_training(self.preset, (), self.folder, self.seed, *given) as opened:
            before = all(opened.stage(name).done for name in self.stages)
            run_stages(self.stages, opened, progress)
        return SweptRun(self.folder, "done before" if before else "done", time.monotonic() - began)

    def failed(self, error: UserError) -> SweptRun:
        """The same, failed."""
        return SweptRun(self.folder, "failed", why=str(error))


def sweep(
    stages: Sequence[str],
    preset: Preset | str,
    *,
    over: Sequence[str] = (),
    seeds: Sequence[int] = (0,),
    out: Path | str | None = None,
    workers: int | None = None,
    backend: str = "local",
    threads: int | None = None,
    device: torch.device | str | None = None,
    base: Run | Path | str | None = None,
    settings: Sequence[str] = (),
    track: Sequence[str] = (),
) -> list[Run]:
    """Runs stages of one run for each combination of settings and seed.

    The same call continues, and passes over runs that are finished. A run that fails is no end of
    the others. :func:`irl_lens.compare` then looks at all of them.

    Args:
        stages: The stages, in their order; those before them must be finished, or come with
            ``base``.
        preset: As for :func:`run`.
        over: Settings that are varied, such as ``"discovery.alpha=0,0.1"``, a key once for each
            of its values; all combinations are run.
        seeds: Seeds of each combination.
        out: Folder of the runs' folders; runs/PRESET-sweep when not given.
        workers: How many runs at a time, each in a process of its own; one when not given, or as
            many as a Ray cluster has processors.
        backend: ``"local"``, this machine; or ``"ray"``, the cluster that ``RAY_ADDRESS`` names, a
            new one of this machine without. All of a cluster must see the folders.
        threads: Threads that torch computes with in each; when not given its own choice, or a
            worker's share of the cores.
        device: Where it trains; see :func:`irl_lens.load`. A run may go on on another one.
        base: A run whose finished base all share.
        settings: Settings that replace the preset's in all of them.
        track: As for :func:`run`.

    Returns:
        The runs.

    Raises:
        UserError: There is no such stage, or a setting is not possible, and nothing is run then;
            or, when all others are done, runs failed.
        KeyboardInterrupt: After Ctrl-C; the same call continues, from the last checkpoints of
            what workers had in hand.
    """
    given = (out, workers, backend, threads, device, base, settings, track)
    ended = list(swept(stages, preset, over, seeds, *given))
    if failed := [run for run in ended if run.state == "failed"]:
        which = "; ".join(f"{run.folder}: {run.why}" for run in failed)
        raise UserError(
            f"{len(failed)} of {len(ended)} runs failed ({which}); mend that, and go on"
        )
    return [load(run.folder, device) for run in ended]


def swept(
    stages: Sequence[str],
    preset: Preset | str,
    over: Sequence[str],
    seeds: Sequence[int],
    out: Path | str | None,
    workers: int | None,
    backend: str,
    threads: int | None,
    device: torch.device | str | None,
    base: Run | Path | str | None,
    settings: Sequence[str],
    track: Sequence[str],
) -> list[SweptRun]:
    """How the runs of a sweep ended, in their order; see :func:`sweep`."""
    from irl_lens.commands.workers import check_workers, share_of_memory, share_of_threads
    from irl_lens.models.device import find_device

    _check(stages, seeds)
    check_trackers(track)
    check_threads(threads)
    several, memory = check_workers(workers, backend), None
    # On a cluster, what there is here says nothing of where the runs will be.
    if backend == "local" and find_device(device).type == "cpu":
        memory = share_of_memory(several)
    if several != 1 and threads is None:
        threads = share_of_threads(several) if backend == "local" else 1
    source = None if base is None else load(base, "cpu").folder.resolve()
    jobs = [
        _Job(tuple(stages), chosen, folder, seed, threads, device, source, tuple(track))
        for chosen, folder, seed in _runs(preset, over, seeds, settings, out)
    ]
    return _one_by_one(jobs) if several == 1 else _at_once(jobs, several, backend, memory)


def _check(stages: Sequence[str], seeds: Sequence[int]) -> None:
    if not stages:
        raise UserError(f"a sweep needs a stage; the stages are {', '.join(READS)}")
    if not seeds:
        raise UserError("a sweep needs a seed; write --seeds 0, or leave --seeds out")
    check_stages(stages)


def _runs(
    preset: Preset | str,
    over: Sequence[str],
    seeds: Sequence[int],
    settings: Sequence[str],
    out: Path | str | None,
) -> Iterator[tuple[Preset, Path, int]]:
    """Settings, folder and seed of each, which must be possible."""
    from irl_lens.config.overrides import combinations

    for choice, seed in product(combinations(over), seeds):
        chosen = checked(preset, (*settings, *choice), seed)
        folder = Path("runs") / f"{chosen.name}-sweep" if out is None else Path(out)
        yield chosen, folder / "_".join((*choice, f"seed{seed}")), seed


def _one_by_one(jobs: Sequence[_Job]) -> list[SweptRun]:
    from irl_lens.commands.workers import attempt

    found = [(job, attempt(job.run)) for job in jobs]
    return [job.failed(x) if isinstance(x, UserError) else x for job, x in found]


def _at_once(
    jobs: Sequence[_Job], workers: int, backend: str, memory: int | None
) -> list[SweptRun]:
    from irl_lens.commands.workers import in_workers
    from irl_lens.progress import QuietProgress

    # A worker may be in another folder, where it was started for something else.
    calls = [
        partial(replace(job, folder=job.folder.absolute()).run, QuietProgress()) for job in jobs
    ]
    found: dict[int, SweptRun] = {}
    with showing_progress() as shown:
        shown.stage("runs", len(jobs))
        for number, ended in in_workers(calls, workers, backend, memory):
            job = jobs[number]
            if isinstance(ended, UserError):
                found[number] = job.failed(ended)
            else:
                found[number] = replace(ended, folder=job.folder)
            shown.update(len(found))
    return [found[number] for number in range(len(jobs))]
