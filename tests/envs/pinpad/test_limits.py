"""Worlds and environments that nobody can have: refused at once."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from irl_lens.envs.ant.spec import AntConfig
from irl_lens.envs.ant.world import AntWorld
from irl_lens.envs.pinpad.limits import MAX_ROWS, check_whole
from irl_lens.envs.pinpad.vector_env import GridPinpadVectorEnv
from irl_lens.envs.pinpad.world import PinpadWorld
from irl_lens.envs.protocol import MAX_HORIZON
from irl_lens.envs.registry import GRID, SMALL_GRID

WRONG: tuple[tuple[dict[str, Any], str], ...] = (
    ({"size": 1}, "size 1; take a whole number from 2 to 32"),
    ({"size": 100_000}, "size 100000"),
    ({"size": -7}, "size -7"),
    ({"colours": 0}, "colours 0; take a whole number from 1 to 32"),
    ({"colours": 10**9}, "colours 1000000000"),
    ({"walls": -1}, "walls -1"),
    ({"walls": 10**9}, "walls 1000000000"),
    ({"walls": 41}, "take fewer objects or a larger size"),
    ({"horizon": 0}, "horizon 0; take a whole number from 1 to 1024"),
    ({"horizon": MAX_HORIZON + 1}, "horizon 1025"),
    ({"prefix": 0}, "prefix of task 'train' 0; take a whole number from 1 to 3"),
    ({"prefix": 4}, "prefix of task 'train' 4"),
    ({"grammar": ""}, "no grammar ''.*register"),
    ({"observation": "onehot", "task": ((0, 1), (0, 9))}, "names subgoal 9"),
)


@pytest.mark.parametrize(("options", "said"), WRONG)
@pytest.mark.parametrize("rows", [0, 2])
def test_options_out_of_range_are_named(options: dict[str, Any], said: str, rows: int) -> None:
    with pytest.raises(ValueError, match=said):
        if rows:
            GridPinpadVectorEnv(rows, **options)
        else:
            gym.make("irl_lens/GridPinpad-v0", **options)


@pytest.mark.parametrize("rows", [0, -1, MAX_ROWS + 1])
def test_numbers_of_rows_out_of_range_are_named(rows: int) -> None:
    with pytest.raises(ValueError, match=f"num_envs {rows}; take a whole number from 1 to 65536"):
        GridPinpadVectorEnv(rows)
    world = PinpadWorld(GRID)
    with pytest.raises(ValueError, match=f"n {rows}; take a whole number"):
        world.demonstrate(rows, seed=0)
    with pytest.raises(ValueError, match=f"n {rows}; take a whole number"):
        world.roaming(rows)


TYPES = """
import gymnasium as gym
import irl_lens.envs
from irl_lens.envs.pinpad.vector_env import GridPinpadVectorEnv
for options in (
    dict(size=7.0), dict(size="7"), dict(size=None), dict(size=True), dict(size=float("nan")),
    dict(colours=8.5), dict(walls=[4]), dict(horizon=float("inf")), dict(horizon="100"),
    dict(grammar=None), dict(task=None), dict(task=3), dict(task=(0.5,)), dict(task=(0, (1,))),
    dict(task=()), dict(task=((),)), dict(prefix=1.5), dict(prefix="1"), dict(prefix=True),
    dict(observation=None), dict(sparse="no"), dict(solvable=0),
    dict(num_envs=2.0), dict(num_envs="2"), dict(num_envs=None),
):
    for make in (lambda **o: gym.make("irl_lens/GridPinpad-v0", **o), GridPinpadVectorEnv):
        if "num_envs" in options and make is not GridPinpadVectorEnv:
            continue
        try:
            make(**options)
        except ValueError as error:
            assert len(str(error).splitlines()) == 1, error
        else:
            raise SystemExit(f"{options} were taken")
"""


def test_options_of_another_type_are_refused_where_no_annotation_is_checked() -> None:
    done = subprocess.run([sys.executable, "-c", TYPES], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("epsilon", [-0.1, 1.0, 2.0, np.nan, np.inf])
def test_epsilon_is_a_probability_below_one(epsilon: float) -> None:
    for world in (PinpadWorld(GRID), AntWorld(AntConfig())):
        with pytest.raises(ValueError, match=r"epsilon .*; take a probability from 0 to below 1"):
            world.demonstrate(1, seed=0, epsilon=epsilon)


@pytest.mark.parametrize("n", [1, 64])
def test_too_much_noise_is_an_error_after_a_bounded_number_of_games(n: int) -> None:
    with pytest.raises(ValueError, match=r"noise of 0.9999 lets \d+ of \d+ games end within"):
        PinpadWorld(replace(GRID, horizon=30)).demonstrate(n, seed=0, epsilon=0.9999)


def test_some_noise_is_played_to_the_end() -> None:
    shown = PinpadWorld(GRID).demonstrate(64, seed=0, epsilon=0.6)
    assert len(shown) == 64 and (shown.lengths <= GRID.horizon).all()


@pytest.mark.parametrize(("change", "n"), [({"horizon": 2}, 1), ({"walls": 20}, 64)])
def test_a_world_without_solvable_boards_is_an_error(change: dict[str, Any], n: int) -> None:
    config = replace(SMALL_GRID, **change)
    with pytest.raises(ValueError, match=r"\d+ of \d+ boards drawn are solvable within horizon"):
        PinpadWorld(config).demonstrate(n, seed=0)
    with pytest.raises(ValueError, match=r"on \d+ of \d+ boards drawn the task can be done"):
        PinpadWorld(config).vector_env(n).reset(seed=0)


def test_numpys_whole_numbers_are_whole_numbers() -> None:
    check_whole("n", np.int64(3), 1, 3)
