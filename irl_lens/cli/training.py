"""Commands that train: the whole chain, one stage of it, or stages over several settings."""

from __future__ import annotations

from dataclasses import asdict
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
from irl_lens.cli.console import as_object, leave, measured, one_line, written
from irl_lens.commands import sweeping, training


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
    workers: Annotated[int | None, tyro.conf.arg(metavar="N")] = None,
    backend: Annotated[str, tyro.conf.arg(metavar="local|ray")] = "local",
    threads: Threads = None,
    device: Device = None,
    base: Base = None,
    settings: Settings = (),
    track: Track = (),
    as_json: Json = False,
) -> None:
    """Runs stages of one run for each combination of settings and seed.

    The same command continues, and passes over runs that are finished. A run that fails is no end
    of the others; then it exits with 1. irl-lens compare looks at all of them.

    Args:
        stages: The stages, in their order; those before them must be finished, or come with
            --base.
        over: Settings that are varied, a key once for each of its values; all combinations
            are run.
        seeds: Seeds of each combination.
        out: Folder of the runs' folders; runs/PRESET-sweep when not given.
        workers: Runs at a time, each in a process of its own, with a share of cores and memory;
            one when not given, or as many as a Ray cluster has processors.
        backend: ray takes the cluster that RAY_ADDRESS names, or makes one of this machine; it
            needs the extra ray, and a folder that all of it sees.
        base: A run whose finished base all share.
        settings: Settings that replace the preset's in all of them.
    """
    from irl_lens.runs.standing_text import duration

    given = (out, workers, backend, threads, device, base, settings, track)
    ended = sweeping.swept(stages, preset_name, over, seeds, *given)
    folders = [str(run.folder) for run in ended]
    if as_json:
        rows = [asdict(run) | {"folder": str(run.folder)} for run in ended]
        done = [str(run.folder) for run in ended if run.state != "failed"]
        as_object({"runs": rows, "written": done})
    else:
        width = max(map(len, folders))
        for run, folder in zip(ended, folders, strict=True):
            told = run.why or duration(run.seconds)
            print(f"{folder:<{width}}  {run.state:<11}  {one_line(told)}".rstrip())
    if failed := [run for run in ended if run.state == "failed"]:
        count = f"{len(failed)} of {len(ended)} runs failed"
        leave(1, f"{count}; mend that, and give the same command again for these")
