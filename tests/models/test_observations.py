"""A model reads the observations it was made for, and no others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch

from irl_lens.config.schema import BaseConfig, CodesConfig, ControllersConfig, DiscoveryConfig
from irl_lens.config.value_types import Activation
from irl_lens.envs.protocol import World
from irl_lens.envs.registry import GRID, make_world
from irl_lens.envs.spaces import ObservationSpec
from irl_lens.errors import UserError
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.fast import FastPath
from irl_lens.models.metacontroller import Metacontroller
from irl_lens.rl.runner import RolloutRunner
from irl_lens.training.codes import CodesJob
from irl_lens.training.controllers import ControllersJob
from irl_lens.training.discovery import DiscoveryJob
from irl_lens.training.segment_starts import DiscoveredSwitches

OTHERS = {
    "smaller": make_world(replace(GRID, size=6)),
    "larger": make_world(replace(GRID, size=9)),
    "one-hot": make_world(replace(GRID, observation="onehot")),
    "more walls": make_world(replace(GRID, walls=8)),
    "fewer walls": make_world(replace(GRID, walls=3)),
}
RECOLOURED = make_world(replace(GRID, colours=9, walls=3))
"""Of the same sizes, column by column: what it shows is other things."""


@pytest.fixture(scope="module")
def fast() -> FastPath:
    return FastPath(model(make_world(GRID)))


def model(world: World) -> TrajectoryModel:
    sizes = BaseConfig(d_model=16, n_layers=2, n_heads=2, d_mlp=16)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return TrajectoryModel(sizes, world.observation, world.actions).frozen()


def sparse(world: World) -> torch.Tensor:
    return torch.as_tensor(world.demonstrate(3, 0).observations)


@pytest.mark.parametrize("world", OTHERS.values(), ids=OTHERS)
def test_observations_of_another_world_are_refused(fast: FastPath, world: World) -> None:
    given = sparse(world)
    dense = torch.as_tensor(world.observation.dense(given.numpy()))
    readers: tuple[Callable[[torch.Tensor], object], ...] = (fast.logits, fast.residual, fast.model)
    for observations in (given, dense, given.long()):
        for read in readers:
            with pytest.raises(UserError, match="of the world it was made for"):
                read(observations)


def test_the_column_and_its_range_are_named(fast: FastPath) -> None:
    given = sparse(make_world(GRID))
    given[1, 2, 3] = 168
    said = r"168 in column 3 \(colour3\) of an observation, and the model reads 507 to 675 there"
    with pytest.raises(UserError, match=said):
        fast.logits(given)
    given[1, 2, 3] = -1
    with pytest.raises(UserError, match=r"-1 in column 3"):
        fast.logits(given)


def test_every_value_a_world_shows_is_read_and_none_next_to_them(fast: FastPath) -> None:
    spec = fast.model.spec
    first, end = spec.offsets, spec.offsets + np.array(spec.sizes)
    for edge in (first, end - 1):
        fast.logits(torch.as_tensor(edge)[None, None])
    for column in range(spec.columns):
        for value in (first[column] - 1, end[column]):
            edge = first.copy()
            edge[column] = value
            if value != 0:
                with pytest.raises(UserError, match=f"in column {column} "):
                    fast.logits(torch.as_tensor(edge)[None, None])


def test_zeros_are_padding(fast: FastPath) -> None:
    given = sparse(make_world(GRID))
    padded = torch.cat([given, torch.zeros_like(given)], dim=1)
    steps = given.shape[1]
    assert torch.allclose(fast.logits(padded)[:, :steps], fast.logits(given), atol=1e-5)


def meetings(fast: FastPath, world: World) -> dict[str, Callable[[], object]]:
    """Where a model and a world come together."""
    found = DiscoveryConfig(layer=1, history=4, sequence=4, hidden=4, latent=2, rank=2, batch=4)
    codes = CodesConfig(history=4, hidden=4, latent=2, batch=4)
    meta = Metacontroller(found, 16)
    return {
        "player": lambda: RolloutRunner(fast, 100).play(world.vector_env(2), 0),
        "controllers": lambda: ControllersJob(
            ControllersConfig(layers=(1,), rank=2, batch=4), world, fast, 0
        ),
        "discovery": lambda: DiscoveryJob(found, world, fast, 0),
        "codes": lambda: CodesJob(codes, world, fast, DiscoveredSwitches(meta, 0.5), 0),
    }


@pytest.mark.parametrize("where", ["player", "controllers", "discovery", "codes"])
def test_a_world_of_the_same_sizes_is_another_world(fast: FastPath, where: str) -> None:
    for world in (RECOLOURED, OTHERS["smaller"]):
        assert world.observation != fast.model.spec
        with pytest.raises(UserError, match=r"the world shows .* the model was made for .*wall3"):
            meetings(fast, world)[where]()
    meetings(fast, make_world(GRID))[where]()


def test_rows_without_a_task_say_what_they_show(fast: FastPath) -> None:
    with pytest.raises(UserError, match="the world shows"):
        RolloutRunner(fast, 100).play(RECOLOURED.roaming(2), 0)  # type: ignore[attr-defined]
    assert len(RolloutRunner(fast, 100).play(make_world(GRID).roaming(2), 0).lengths) == 2  # type: ignore[attr-defined]


def test_columns_are_described_in_few_words() -> None:
    spec = ObservationSpec(("a", "b", "c", "agent"), (9, 9, 9, 4), (3,))
    assert spec.described() == "3 of 9 values (a to c), 1 of 4 values (agent)"


def test_what_is_read_is_no_part_of_the_models_identity(fast: FastPath) -> None:
    assert not [name for name in fast.model.hooked.embed.state_dict() if name != "W_E"]


@pytest.mark.parametrize("name", get_args(Activation))
def test_every_activation_that_may_be_set_is_transformer_lens_own(name: str) -> None:
    world = make_world(GRID)
    made = TrajectoryModel(
        BaseConfig(d_model=16, n_layers=1, n_heads=2, d_mlp=16, act_fn=name),  # type: ignore[arg-type]
        world.observation,
        world.actions,
    ).frozen()
    given = sparse(world)
    assert torch.allclose(FastPath(made).logits(given), made(given), atol=1e-5)
