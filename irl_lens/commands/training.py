"""Training: the whole chain, or one stage of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from irl_lens.commands.looking import measure
from irl_lens.commands.opening import load, showing_progress
from irl_lens.errors import UserError
from irl_lens.files.targets import require_writable
from irl_lens.processes import here, joined, leads, own_device, started, wait
from irl_lens.runs.chain import READS
from irl_lens.runs.tracking import check_trackers

if TYPE_CHECKING:
    import torch

    from irl_lens.config.schema import Preset
    from irl_lens.progress import Progress
    from irl_lens.runs.run import Run

THREADS_A_CORE = 16
"""Most that can be asked for. torch takes any number, and fails when it starts them."""


def run(
    preset: Preset | str,
    *,
    out: Path | str | None = None,
    seed: int = 0,
    threads: int | None = None,
    device: torch.device | str | None = None,
    base: Run | Path | str | None = None,
    settings: Sequence[str] = (),
    track: Sequence[str] = (),
) -> Run:
    """Runs the whole chain, evaluates it and writes its report. The same call continues.

    Ctrl-C loses nothing: the stage's state is saved at the end of the step. Processes that
    ``torchrun`` started train together; the first of them evaluates.

    Args:
        preset: ``"grid"``, ``"smoke"``, ``"paper-grid"``, or one of your own.
        out: The run's folder; runs/PRESET-seedN when not given.
        seed: Where every random stream starts from.
        threads: Threads that torch computes with meanwhile; its own choice when not given.
        device: Where it trains; see :func:`irl_lens.load`. A run may go on on another one.
        base: A run whose finished base is copied in place of training one.
        settings: Settings that replace the preset's, such as ``"base.d_model=256"``; a list's
            items stand between commas.
        track: Dashboards that are told of what is logged, ``"tensorboard"`` or ``"wandb"``; see
            :mod:`irl_lens.runs.tracking`.

    Returns:
        The run, with ``evaluation.json`` and ``report.html`` in its folder.

    Raises:
        UserError: A setting is not possible, or the folder holds something else.
        KeyboardInterrupt: After Ctrl-C; names the stage and the step.
    """
    with opened_for_training(preset, settings, out, seed, threads, device, base, track) as opened:
        evaluation, page = (opened.folder / name for name in ("evaluation.json", "report.html"))
        require_writable(evaluation)
        require_writable(page)
        run_stages(opened.chain, opened)
        if leads():
            measure(opened, evaluation, page)
        wait()
        return opened


def train(
    stage: str,
    preset: Preset | str,
    *,
    out: Path | str | None = None,
    seed: int = 0,
    threads: int | None = None,
    device: torch.device | str | None = None,
    base: Run | Path | str | None = None,
    settings: Sequence[str] = (),
    track: Sequence[str] = (),
) -> Run:
    """Runs one stage of the chain; the stages before it must be finished.

    Args:
        stage: ``"base"``, ``"controllers"``, ``"metacontroller"``, ``"switches"``, ``"codes"``,
            ``"internal-rl"`` or ``"raw-rl"``; or one of other methods, ``"compile"`` or
            ``"compile-rl"``.
        preset: As for :func:`run`, and so are the others.
        out: The run's folder; runs/PRESET-seedN when not given.
        seed: Where every random stream starts from.
        threads: Threads that torch computes with meanwhile; its own choice when not given.
        device: Where it trains; see :func:`irl_lens.load`. A run may go on on another one.
        base: A run whose finished base is copied in place of training one.
        settings: Settings that replace the preset's.
        track: As for :func:`run`.

    Returns:
        The run.

    Raises:
        UserError: There is no such stage, a setting is not possible, or the folder holds
            something else.
        CheckpointError: A stage before is not finished; names the command that runs it.
        KeyboardInterrupt: After Ctrl-C; the same call continues.
    """
    check_stages([stage])
    with opened_for_training(preset, settings, out, seed, threads, device, base, track) as opened:
        run_stages([stage], opened)
        return opened


def train_expert(
    preset: Preset | str,
    *,
    out: Path | str | None = None,
    seed: int = 0,
    threads: int | None = None,
    settings: Sequence[str] = (),
    **refused: object,
) -> Path:
    """Trains the skill of a world's expert, such as a gait. The same call continues.

    Args:
        preset: As for :func:`run`: of it only the world counts.
        out: Where lessons and weights go; runs/PRESET-expert-seedN when not given.
        seed: Where every random stream starts from.
        threads: Threads that torch computes with; one when not given, as the network is small.
        settings: Settings that replace the preset's.
        **refused: What other stages can be given, and this cannot.

    Returns:
        The file of the weights, learning curves beside it.

    Raises:
        NotOffered: The expert of that world has nothing to learn.
        UserError: A setting is not possible.
        KeyboardInterrupt: After Ctrl-C; the same call continues.
    """
    if given := [name for name, value in refused.items() if value is not None]:
        name, value = given[0], refused[given[0]]
        raise UserError(f"--{name} {value}: an expert is trained without; leave it out")
    if (count := started()[1]) > 1:
        raise UserError(f"{count} processes: an expert is trained by one, without torchrun")
    chosen = checked(preset, settings, seed)
    from irl_lens.envs.contracts import Practising, ask
    from irl_lens.envs.registry import make_world, world_values

    practice = ask(make_world(chosen.world), Practising, "train expert").practice()
    folder = Path("runs") / f"{chosen.name}-expert-seed{seed}" if out is None else Path(out)
    with _threads(1 if threads is None else threads), showing_progress() as shown:
        from irl_lens.rl.practice.training import train_skill

        return train_skill(practice, folder, seed, shown, world_values(chosen.world))


def run_stages(stages: Sequence[str], opened: Run, progress: Progress | None = None) -> None:
    """Runs stages of a run, those that are done aside.

    Args:
        stages: The stages.
        opened: The run.
        progress: Told of every step; shown when not given.
    """
    from irl_lens.commands.chain import run_stage
    from irl_lens.config.validation import check_processes

    parts = [part for name in stages if not opened.stage(name).done for part in READS[name]]
    check_processes(opened.preset, parts, here()[1])
    with nullcontext(progress) if progress else showing_progress() as shown:
        for name in stages:
            run_stage(name, opened, shown)


def check_stages(stages: Sequence[str]) -> None:
    """Refuses what is no stage."""
    for name in stages:
        if name not in READS:
            raise UserError(f"no stage {name!r}; the stages are {', '.join(READS)}")


@contextmanager
def opened_for_training(
    preset: Preset | str,
    settings: Sequence[str],
    out: Path | str | None,
    seed: int,
    threads: int | None,
    device: torch.device | str | None,
    base: Run | Path | str | None,
    track: Sequence[str],
) -> Iterator[Run]:
    """A run that no other process trains in meanwhile."""
    check_trackers(track)
    chosen = checked(preset, settings, seed)
    with _threads(threads):
        from irl_lens.files.lock import locked
        from irl_lens.models.device import find_device
        from irl_lens.runs.run import Run

        where = own_device(find_device(device))
        source = None if base is None else load(base, where)
        folder = Path("runs") / f"{chosen.name}-seed{seed}" if out is None else Path(out)
        with joined(where):
            if leads():
                Run.create(folder, chosen, seed)  # which leaves no lock in the folder of another
            with locked(folder):
                # Its settings are nobody else's to change.
                opened = _prepared(folder, chosen, seed, source).on(where)
                with opened.tracked(track if leads() else ()):
                    yield opened


def _prepared(folder: Path, chosen: Preset, seed: int, source: Run | None) -> Run:
    """The run, its files made by the first process before the others open it."""
    from irl_lens.runs.run import Run

    if leads():
        opened = Run.create(folder, chosen, seed)
        if source is not None:
            opened.take_base(source)
    wait()
    return Run.open(folder)


def checked(preset: Preset | str, settings: Sequence[str], seed: int) -> Preset:
    """A preset with settings, both of which are possible; torch is not needed to say so."""
    from irl_lens.config.overrides import changed
    from irl_lens.config.presets import preset as named
    from irl_lens.config.validation import check_preset, check_seed, try_world

    check_seed(seed)
    chosen = changed(named(preset) if isinstance(preset, str) else preset, settings)
    try_world(chosen, check_preset(chosen))
    return chosen


def check_threads(threads: int | None) -> None:
    """Refuses a number of threads that torch cannot start."""
    most = THREADS_A_CORE * (os.cpu_count() or 1)
    if threads is not None and not 1 <= threads <= most:
        raise UserError(
            f"--threads {threads}: take 1 to {most} here, {THREADS_A_CORE} a core; more than "
            "there are cores make nothing faster"
        )


@contextmanager
def _threads(threads: int | None) -> Iterator[None]:
    """Lets torch compute with so many threads."""
    check_threads(threads)
    import torch

    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
