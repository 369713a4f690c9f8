"""Commands that train: the whole chain, one stage of it, or stages over several settings."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Annotated

import tyro

from irl_lens.cli.arguments import (
    Base,
    OutFolder,
    PresetName,
    Seed,
    Settings,
    StageName,
    Threads,
    find,
)
from irl_lens.cli.console import progress
from irl_lens.cli.looking import measure
from irl_lens.errors import UserError
from irl_lens.files.targets import require_writable

if TYPE_CHECKING:
    from irl_lens.config.schema import Preset
    from irl_lens.progress import Progress
    from irl_lens.runs.run import Run

STAGES = {
    "base": "irl_lens.training.pretrain:pretrain",
    "controllers": "irl_lens.training.controllers:train_controllers",
    "metacontroller": "irl_lens.training.discovery:discover",
    "codes": "irl_lens.training.codes:learn_codes",
    "internal-rl": "irl_lens.rl.internal:internal_rl",
    "raw-rl": "irl_lens.rl.raw:raw_rl",
}
"""The chain in its order: each stage and the function that runs it."""
THREADS_A_CORE = 16
"""Most that can be asked for. torch takes any number, and fails when it starts them."""


def run(
    preset_name: tyro.conf.Positional[PresetName],
    /,
    out: OutFolder = None,
    seed: Seed = 0,
    threads: Threads = None,
    base: Base = None,
    settings: Settings = (),
) -> None:
    """Runs the whole chain, evaluates it and writes its report. The same command continues.

    Args:
        out: The run's folder; runs/PRESET-seedN when not given.
        base: A run whose finished base is copied in place of training one.
        settings: Settings that replace the preset's, such as base.d_model=256; a list's
            items stand between commas.
    """
    with _opened_for_training(preset_name, settings, out, seed, threads, base) as opened:
        evaluation, page = (opened.folder / name for name in ("evaluation.json", "report.html"))
        require_writable(evaluation)
        require_writable(page)
        with progress() as shown:
            for name in opened.chain:
                _run_stage(name, opened, shown)
        measure(opened, evaluation, page)


def train(
    stage: tyro.conf.Positional[StageName],
    /,
    preset_name: Annotated[PresetName, tyro.conf.arg(name="preset")],
    out: OutFolder = None,
    seed: Seed = 0,
    threads: Threads = None,
    base: Base = None,
    settings: Settings = (),
) -> None:
    """Runs one stage of the chain; the stages before it must be finished.

    Args:
        stage: The stage.
        out: The run's folder; runs/PRESET-seedN when not given.
        base: A run whose finished base is copied in place of training one.
        settings: Settings that replace the preset's, such as base.d_model=256; a list's
            items stand between commas.
    """
    with _opened_for_training(preset_name, settings, out, seed, threads, base) as opened:
        with progress() as shown:
            _run_stage(stage, opened, shown)
        print(opened.folder / stage)


def sweep(
    stages: Annotated[
        tyro.conf.Positional[tuple[StageName, ...]], tyro.conf.arg(metavar="STAGE...")
    ],
    /,
    preset_name: Annotated[PresetName, tyro.conf.arg(name="preset")],
    over: Annotated[tuple[str, ...], tyro.conf.arg(metavar="KEY=VALUE...")] = (),
    seeds: Annotated[tuple[int, ...], tyro.conf.arg(metavar="N...")] = (0,),
    out: OutFolder = None,
    threads: Threads = None,
    base: Base = None,
    settings: Settings = (),
) -> None:
    """Runs stages of one run for each combination of settings and seed, one after the other.

    The same command continues. irl-lens compare then looks at all of them.

    Args:
        stages: The stages, in their order; those before them must be finished, or come with
            --base.
        over: Settings that are varied, a key once for each of its values; all combinations
            are run.
        seeds: Seeds of each combination.
        out: Folder of the runs' folders; runs/PRESET-sweep when not given.
        base: A run whose finished base all share.
        settings: Settings that replace the preset's in all of them.
    """
    from irl_lens.config.overrides import combinations

    if not stages:
        raise UserError(f"a sweep needs a stage; the stages are {', '.join(STAGES)}")
    if not seeds:
        raise UserError("a sweep needs a seed; write --seeds 0, or leave --seeds out")
    folder, choices = out or Path("runs") / f"{preset_name}-sweep", combinations(over)
    for choice, seed in product(choices, seeds):  # all of them, before the first is trained
        _checked(preset_name, (*settings, *choice), seed)
    for choice, seed in product(choices, seeds):
        own = folder / "_".join((*choice, f"seed{seed}"))
        chosen = (*settings, *choice)
        with (
            _opened_for_training(preset_name, chosen, own, seed, threads, base) as opened,
            progress() as shown,
        ):
            for name in stages:
                _run_stage(name, opened, shown)
        print(own)


@contextmanager
def _opened_for_training(
    name: str,
    settings: Sequence[str],
    out: Path | None,
    seed: int,
    threads: int | None,
    base: str | None,
) -> Iterator[Run]:
    """A run that no other process trains in meanwhile."""
    chosen = _checked(name, settings, seed)
    most = THREADS_A_CORE * (os.cpu_count() or 1)
    if threads is not None and not 1 <= threads <= most:
        raise UserError(
            f"--threads {threads}: take 1 to {most} here, {THREADS_A_CORE} a core; more than "
            "there are cores make nothing faster"
        )
    import torch

    from irl_lens.files.lock import locked
    from irl_lens.runs.run import Run

    if threads is not None:
        torch.set_num_threads(threads)
    source = None if base is None else find(base)
    folder = out or Path("runs") / f"{name}-seed{seed}"
    Run.create(folder, chosen, seed)  # which leaves no lock in the folder of something else
    with locked(folder):
        opened = Run.create(folder, chosen, seed)  # its settings are now nobody else's to change
        if source is not None:
            opened.take_base(source)
        yield opened


def _checked(name: str, settings: Sequence[str], seed: int) -> Preset:
    """A preset with settings, both of which are possible; torch is not needed to say so."""
    from irl_lens.config.overrides import changed
    from irl_lens.config.presets import preset
    from irl_lens.config.validation import check_preset, check_seed, try_world

    check_seed(seed)
    chosen = changed(preset(name), settings)
    try_world(chosen, check_preset(chosen))
    return chosen


def _run_stage(name: str, opened: Run, shown: Progress) -> None:
    if opened.stage(name).done:
        opened.stage(name).files()  # which tells a damaged one
    else:
        resolve_name(STAGES[name])(opened, shown)
