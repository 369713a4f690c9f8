"""Trains the skill of a world's expert, lesson after lesson; writes and measures its weights.

A lesson is a stage in a folder of its own: checkpointed, logged to ``metrics.jsonl``, and gone on
with where it was interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from irl_lens.envs.practice import Lesson, Practice
from irl_lens.errors import UserError
from irl_lens.files.json_files import read_json, write_json
from irl_lens.files.lock import locked
from irl_lens.files.tensors import copy_weights, save_tensors, write_bytes
from irl_lens.hooks.files.json_text import to_json
from irl_lens.progress import Progress
from irl_lens.rl.practice.actor_critic import ActorCritic
from irl_lens.rl.practice.job import PracticeJob
from irl_lens.rl.trainer import draw_seed
from irl_lens.runs.provenance import describe
from irl_lens.runs.stage import Stage
from irl_lens.training.loop import finish, train

CONFIG = "config.json"
SKILL, MEASURED, CURVE = "skill.safetensors", "measured.json", "curve.jsonl"
LAST = 10
"""Logged steps whose mean is the lesson's result."""


def train_skill(
    practice: Practice,
    folder: Path,
    seed: int,
    progress: Progress,
    world: Mapping[str, Any] | None = None,
) -> Path:
    """Trains all lessons; the same call continues, and does nothing once all are done.

    Args:
        practice: The skill.
        folder: Where lessons and weights are written.
        seed: Where every random stream starts from.
        progress: Told of every step.
        world: Settings of the world that it is a skill of, as files keep them.

    Returns:
        The file of the weights.

    Raises:
        UserError: The folder was begun with another seed or world.
        BusyError: Another process trains in the folder.
        CheckpointError: A file is damaged.
        DivergedError: Training came to numbers that are not finite.
        KeyboardInterrupt: After Ctrl-C; the state is saved.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        _check_begun_so(folder, {"seed": seed, "world": dict(world or {})})
        weights: dict[str, Tensor] = {}
        for lesson in practice.lessons:
            weights = _learn(practice, lesson, Stage(folder / lesson.name), seed, weights, progress)
        path = folder / SKILL
        save_tensors(path, weights, {"seed": str(seed), **_provenance()})
        arrays = {name: each.numpy() for name, each in weights.items()}
        write_bytes(folder / CURVE, _curve([Stage(folder / x.name) for x in practice.lessons]))
        write_json(folder / MEASURED, practice.measure(arrays))
    return path


def _check_begun_so(folder: Path, given: dict[str, Any]) -> None:
    """Notes what a folder is begun with; refuses one that was begun with something else."""
    path, given = folder / CONFIG, json.loads(to_json(given))
    if not path.exists():
        return write_json(path, given)
    begun = read_json(path, "choose another folder with --out")
    names = [name for name in given if begun.get(name) != given[name]]
    if names:
        before, now = ({name: one.get(name) for name in names} for one in (begun, given))
        raise UserError(
            f"{folder} was begun with {to_json(before)}, and not {to_json(now)}; give the same "
            "again, or choose another folder with --out"
        )


def _learn(
    practice: Practice,
    lesson: Lesson,
    stage: Stage,
    seed: int,
    weights: dict[str, Tensor],
    progress: Progress,
) -> dict[str, Tensor]:
    """Runs one lesson from the weights of the one before; returns its own."""
    if stage.done:
        return stage.weights()
    rows = practice.rows(lesson.name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(draw_seed(seed, "skill", 0))
        network = ActorCritic(rows.columns, torch.from_numpy(rows.views))
    if weights:
        copy_weights(network.state_dict(), weights, "the lesson before")
    train(stage, PracticeJob(network, rows, lesson, seed), progress)
    finish(stage, network.state_dict(), _recent(stage))
    return stage.weights()


def _curve(stages: list[Stage]) -> bytes:
    """The logs one after the other, with samples and seconds counted from the first on."""
    lines, before = [], {"samples": 0.0, "seconds": 0.0}
    for stage in stages:
        rows = stage.metrics()
        for row in rows:
            total = {name: round(row[name] + start, 3) for name, start in before.items()}
            lines.append(to_json({"lesson": stage.name, **row, **total}))
        before = {name: start + rows[-1][name] for name, start in before.items()}
    return ("\n".join(lines) + "\n").encode()


def _recent(stage: Stage) -> dict[str, Any]:
    rows = stage.metrics()[-LAST:]
    names = [name for name in rows[-1] if name not in ("step", "seconds", "samples")]
    means = {name: sum(row[name] for row in rows) / len(rows) for name in names}
    return {"samples": rows[-1]["samples"], **means}


def _provenance() -> dict[str, str]:
    made = describe()
    return {key: made[key] or "" for key in ("command", "commit")} | {
        "versions": to_json(made["versions"])
    }
