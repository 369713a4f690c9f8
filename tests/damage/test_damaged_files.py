"""Damaged checkpoints, trajectories and interventions: refused, or equal to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from irl_lens.data.demonstrations import Demonstrations
from irl_lens.data.files import read_trajectories, write_trajectories
from irl_lens.envs.registry import SMALL_GRID, make_world
from irl_lens.files.tensors import CheckpointError
from irl_lens.hooks import VectorController, inspect, load, save
from irl_lens.runs.stage import Stage
from tests.damage.conftest import (
    BYTES,
    cut,
    files_in,
    flip,
    insert,
    make_folder,
    mutate,
    plain,
    put_back,
)

FEW = 100


def test_a_mutated_checkpoint_is_refused(tmp_path: Path) -> None:
    stage, random = Stage(tmp_path / "base"), np.random.default_rng(1)
    tensors = {"a": torch.randn(4, 3), "b": torch.randn(4, 3), "c": torch.tensor(3)}
    stage.save_state(3, tensors)
    content, refused = files_in(stage.folder), 0
    for _ in range(FEW):
        how = mutate(stage.folder / "state.safetensors", random, (flip, cut, insert, make_folder))
        try:
            found = Stage(stage.folder).load_state()
        except CheckpointError as error:
            assert "delete it to start the stage 'base' afresh" in str(error)
            refused += 1
        else:
            assert found is not None and found[0] == 3
            assert plain(found[1]) == plain(tensors), how
        put_back(stage.folder, content)
    assert refused > FEW / 2


def test_mutated_trajectories_are_refused(tmp_path: Path) -> None:
    world, random = SMALL_GRID, np.random.default_rng(2)
    write_trajectories(tmp_path, Demonstrations(make_world(world), 0, "base", 4)[0], world, 0)
    content = files_in(tmp_path)
    before = [plain(part) for part in read_plainly(tmp_path)]
    for i in range(FEW):
        name = sorted(content)[i % len(content)]
        how = mutate(tmp_path / name, random, BYTES[:-1])
        try:
            found = read_plainly(tmp_path)
        except CheckpointError as error:
            assert str(tmp_path) in str(error)
        else:
            assert [plain(part) for part in found] == before, f"{how} of {name}"
        put_back(tmp_path, content)


def read_plainly(folder: Path) -> list[Any]:
    trajectories, world = read_trajectories(folder)
    return [trajectories.arrays(), world]


def test_mutated_interventions_are_refused(tmp_path: Path) -> None:
    part, random = VectorController(torch.randn(8), "hook_embed"), np.random.default_rng(3)
    file = save(part, tmp_path / "part.safetensors", card={"nll": float("nan")})
    content, before = files_in(tmp_path), plain(part.state_dict())
    for _ in range(FEW):
        how = mutate(file, random, BYTES[:-1])
        try:
            assert plain(load(file).state_dict()) == before, how
            assert inspect(file).hook_name == "hook_embed"
        except (ValueError, FileNotFoundError) as error:
            assert str(file) in str(error)
        put_back(tmp_path, content)
