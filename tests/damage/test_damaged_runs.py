"""Damaged run folders: each way to load one refuses, or gives what it gave before the damage.

What is loaded by mistake would be acted on, so contents are compared to the bit.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from irl_lens.analyses.learning.pretraining import training_curve
from irl_lens.analyses.learning.run_curves import learning_curves
from irl_lens.errors import UserError
from irl_lens.runs.copies import write_bundle, write_record
from irl_lens.runs.parts import load_policy
from irl_lens.runs.run import Run
from irl_lens.runs.seed_summary import write_evaluation, write_summary
from irl_lens.runs.stage import Stage
from tests.damage.conftest import files_in, mutate, plain, put_back

SOME, MANY = 300, 2_000
EPISODES = {"raw.rewards": np.array([0.0, 1.0])}


def written(folder: Path) -> dict[str, Any]:
    """What was written; JSON by its values, as a damaged file's may only be laid out otherwise."""
    return {
        name: json.dumps(json.loads(content), sort_keys=True) if name[-5:] == ".json" else content
        for name, content in files_in(folder).items()
    }


def stage_content(stage: Stage) -> dict[str, Any]:
    contents = stage.result, stage.made_with(), stage.metrics(), stage.weights(), stage.arrays()
    return {str(i): content for i, content in enumerate(contents)}


def taken(run: Run, out: Path) -> dict[str, Any]:
    other = Run.create(out / "other", run.preset, seed=run.seed + 1)
    other.take_base(run)
    return written(other.stage("base").folder)


def summarised(run: Run, out: Path) -> dict[str, Any]:
    write_summary([run], out)
    return written(out)


def ways_to_load(run: Run) -> dict[str, Callable[[Run, Path], Any]]:
    """All that reads a run, by name: given the run and an empty folder, it returns contents."""
    snapshots = run.stage("base").snapshots
    parts = [part.name for part in run.stage("internal-rl").parts()]
    found: dict[str, Callable[[Run, Path], Any]] = {
        "config": lambda run, out: {"preset": run.preset, "seed": run.seed, "config": run.config},
        "base": lambda run, out: run.base.weights(),
        "pretrained": lambda run, out: run.pretrained.weights(),
        "controllers": lambda run, out: {
            f"{layer}.{n}": w
            for layer, bank in run.controllers.items()
            for n, w in bank.state_dict().items()
        },
        "discovered": lambda run, out: run.discovered.state_dict(),
        "metacontroller": lambda run, out: run.metacontroller.state_dict(),
        "policy": lambda run, out: run.policy.state_dict(),
        "curve": lambda run, out: training_curve(run.stage("base")),
        "record": lambda run, out: written(write_record(run, out)),
        "bundle": lambda run, out: written(write_bundle(run, out, EPISODES)),
        "take_base": taken,
        "summary": summarised,
        "learning": lambda run, out: {
            curve.name: curve for curve in learning_curves(run, 3).curves
        },
    }
    for step in snapshots:
        found[f"snapshot {step}"] = lambda run, out, at=step: run.snapshot(at).weights()
    for name in run.chain:
        found[f"stage {name}"] = lambda run, out, at=name: stage_content(run.stage(at))
    for name in parts:
        n = int(name.removeprefix("prefix-"))
        found[name] = lambda run, out, at=n: load_policy(run, at).state_dict()
    return found


def read(way: Callable[[Run, Path], Any], folder: Path, out: Path) -> Any:
    shutil.rmtree(out, ignore_errors=True)
    return plain(way(Run.open(folder), out))


def same(found: Any, before: Any, deleted: str) -> bool:
    """Whether contents are equal; a stage is not finished any more without its result.json."""
    if deleted and isinstance(found, dict) and isinstance(before, dict):
        # runs.json has a row for each stage that is finished.
        return all(value == before[key] for key, value in found.items() if key != "runs.json")
    return found == before


def choose(ways: Iterable[str], name: str, number: int, random: np.random.Generator) -> set[str]:
    """Some ways to load a run: one that is about the file of this name, and any others."""
    parts, known = Path(name).with_suffix("").parts, sorted(ways)
    about = [way for way in known if any(part in way for part in parts)]
    return {
        str(way) for way in (random.choice(about or known), *random.permutation(known)[1:number])
    }


def try_mutations(run: Run, folder: Path, times: int, at_once: int) -> dict[str, int]:
    """Counts loads of mutated files by outcome, so many of each."""
    shutil.copytree(run.folder, folder)
    write_evaluation(folder / "evaluation.json", {"a": 0.25, "b": float("nan")})
    out, files, random = folder.with_name("out"), files_in(folder), np.random.default_rng(0)
    ways = ways_to_load(Run.open(folder))
    before = {name: read(way, folder, out) for name, way in ways.items()}
    counts = {"refused": 0, "same": 0}
    for i in range(times):
        name = sorted(files)[random.integers(len(files))]
        how = mutate(folder / name, random)
        for way in choose(ways, name, at_once, random):
            try:
                found = read(ways[way], folder, out)
            except UserError as error:
                assert len(str(error)) > 40, str(error)
                counts["refused"] += 1
            else:
                deleted = name if how == "delete" else ""
                assert same(found, before[way], deleted), f"{i}: {way} after {how} of {name}"
                counts["same"] += 1
        put_back(folder, files)
    return counts


def test_mutated_runs_are_refused_or_give_the_same(smoke_run: Run, tmp_path: Path) -> None:
    counts = try_mutations(smoke_run, tmp_path / "run", SOME, at_once=1)
    assert counts["refused"] > SOME / 4 and counts["same"] > SOME / 4


@pytest.mark.slow
def test_many_mutations_by_every_way_to_load(smoke_run: Run, tmp_path: Path) -> None:
    counts = try_mutations(smoke_run, tmp_path / "run", MANY, at_once=5)
    assert counts["refused"] > MANY and counts["same"] > MANY
