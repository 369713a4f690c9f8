"""Commands that train: the whole chain, one stage of it, or stages over several settings."""

from __future__ import annotations

from typing import Annotated

import tyro

from irl_lens.cli.arguments import (
    EXPERT,
    Base,
    Device,
    Json,
    OutFolder,
    PresetName,
    Seed,
    Settings,
    StageName,
    Threads,
    Track,
    TrainedName,
)
from irl_lens.cli.console import measured, written
from irl_lens.commands import training


def run(
    preset_name: tyro.conf.Positional[PresetName],
    /,
    out: OutFolder = None,
    seed: Seed = 0,
    threads: Threads = None,
    device: Device = None,
    base: Base = None,
    settings: Settings = (),
    track: Track = (),
    as_json: Json = False,
) -> None:
    """Runs the whole chain, evaluates it and writes its report. The same command continues.

    Args:
        out: The run's folder; runs/PRESET-seedN when not given.
        base: A run whose finished base is copied in place of training one.
        settings: Settings that replace the preset's, such as base.d_model=256; a list's
            items stand between commas. irl-lens settings PRESET lists them all.
    """
    opened = training.run(
        preset_name,
        out=out,
        seed=seed,
        threads=threads,
        device=device,
        base=base,
        settings=settings,
        track=track,
    )
    files = [opened.folder / name for name in ("evaluation.json", "report.html")]
    measured(opened.evaluation, files, as_json)


def train(
    stage: tyro.conf.Positional[TrainedName],
    /,
    preset_name: Annotated[PresetName, tyro.conf.arg(name="preset")],
    out: OutFolder = None,
    seed: Seed = 0,
    threads: Threads = None,
    device: Device = None,
    base: Base = None,
    settings: Settings = (),
    track: Track = (),
    as_json: Json = False,
) -> None:
    """Runs one stage of the chain; the stages before it must be finished.

    Or trains the skill of the world's expert, for which nothing need be finished. The same
    command continues.

    Args:
        stage: The stage, or expert.
        out: The run's folder; runs/PRESET-seedN when not given, runs/PRESET-expert-seedN for
            expert.
        base: A run whose finished base is copied in place of training one.
        settings: Settings that replace the preset's, such as base.d_model=256; a list's
            items stand between commas. irl-lens settings PRESET lists them all.
    """
    if stage == EXPERT:
        given = {"device": device, "base": base, "track": " ".join(track) or None}
        learned = training.train_expert(
            preset_name, out=out, seed=seed, threads=threads, settings=settings, **given
        )
        written([learned], as_json)
        return
    opened = training.train(
        stage,
        preset_name,
        out=out,
        seed=seed,
        threads=threads,
        device=device,
        base=base,
        settings=settings,
        track=track,
    )
    written([opened.folder / stage], as_json)


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
    device: Device = None,
    base: Base = None,
    settings: Settings = (),
    track: Track = (),
    as_json: Json = False,
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
    folders = (
        opened.folder
        for opened in training.swept(
            stages, preset_name, over, seeds, out, threads, device, base, settings, track
        )
    )
    written(folders, as_json)
