"""Snapshots that no episode can be in, and steps before there is a board, are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gymnasium.error import ResetNeeded

from irl_lens.envs.pinpad.env import GridPinpadEnv
from irl_lens.envs.pinpad.episodes import EpisodeState
from irl_lens.envs.pinpad.layouts import Layouts
from irl_lens.envs.pinpad.taskless import Roaming
from irl_lens.envs.pinpad.vector_env import GridPinpadVectorEnv
from irl_lens.envs.pinpad.world import PinpadWorld
from irl_lens.envs.registry import PinpadConfig

N = 3
OPTIONS: dict[str, Any] = {"horizon": 30, "solvable": False}
Env = GridPinpadEnv | GridPinpadVectorEnv
Change = Callable[[EpisodeState], None]


def made(kind: type[Env], **options: Any) -> Env:
    options = OPTIONS | options
    if kind is GridPinpadEnv:
        return GridPinpadEnv(render_mode="ansi", **options)
    return GridPinpadVectorEnv(N, render_mode="ansi", **options)


def begun(kind: type[Env], **options: Any) -> Env:
    """An environment some steps into its episodes."""
    env = made(kind, **options)
    env.reset(seed=4)
    for action in (0, 1, 2):
        env.step(action if kind is GridPinpadEnv else np.full(N, action))
    return env


def plain(env: Env) -> dict[str, Any]:
    """A snapshot whose parts compare."""
    state = env.get_state()
    return state | {"episodes": {k: v.tolist() for k, v in vars(state["episodes"]).items()}}


def put(name: str, value: Any) -> Change:
    """Writes a value into the last row."""

    def change(state: EpisodeState) -> None:
        getattr(state, name)[-1] = value

    return change


def replaced(name: str, by: Callable[[np.ndarray], Any]) -> Change:
    def change(state: EpisodeState) -> None:
        setattr(state, name, by(getattr(state, name)))

    return change


def into_a_wall(state: EpisodeState) -> None:
    state.cell[-1] = state.objects[-1, -1]


def two_on_a_cell(state: EpisodeState) -> None:
    state.objects[-1, 0] = state.objects[-1, 1]


WRONG: dict[str, tuple[Change, str]] = {
    "cell beyond": (put("cell", 49), "cell 49 in row .*; it is from 0 to 48"),
    "cell below": (put("cell", -1), "cell -1 in row"),
    "in a wall": (into_a_wall, "the agent of row .* in a wall"),
    "two on a cell": (two_on_a_cell, "each needs a cell of its own, from 0 to 48"),
    "object beyond": (put("objects", 49), "each needs a cell of its own"),
    "start": (put("start", -1), "each needs a cell of its own"),
    "task": (put("task", 99), "task 99 in row"),
    "progress": (put("progress", 40), "progress 40 in row"),
    "progress below": (put("progress", -1), "progress -1 in row"),
    "displacement": (put("displacement", 5), "displacement 5 in row .* from 0 to 4"),
    "steps": (put("steps", 31), "steps 31 in row .* from 0 to 30"),
    "floats": (replaced("cell", lambda x: x + 0.5), "cell of float64 and shape"),
    "numbers": (replaced("terminated", lambda x: x * 1), "terminated of int64"),
    "short": (replaced("progress", lambda x: x[:0]), r"progress of int64 and shape \(0,\)"),
    "none": (replaced("steps", lambda x: None), "steps of object"),
}


@pytest.mark.parametrize("kind", [GridPinpadEnv, GridPinpadVectorEnv])
@pytest.mark.parametrize("wrong", WRONG)
def test_an_impossible_state_is_named_and_changes_nothing(kind: type[Env], wrong: str) -> None:
    env, (change, message) = begun(kind), WRONG[wrong]
    before, state = plain(env), begun(kind).get_state()
    change(state["episodes"])
    with pytest.raises(ValueError, match=message):
        env.set_state(state)
    assert plain(env) == before


@pytest.mark.parametrize("kind", [GridPinpadEnv, GridPinpadVectorEnv])
@pytest.mark.parametrize(
    "change",
    [
        lambda value: None,
        lambda value: {},
        lambda value: value | {"bit_generator": "MT19937"},
        lambda value: value | {"uinteger": -1},
        lambda value: value | {"has_uint32": 0.5},
        lambda value: value | {"state": value["state"] | {"state": 1.5}},
        lambda value: value | {"state": {}},
    ],
)
def test_an_impossible_generator_changes_nothing(
    kind: type[Env], change: Callable[[dict[str, Any]], Any]
) -> None:
    env = begun(kind)
    state = begun(kind).get_state()
    state["episodes"].steps += 1
    before = plain(env)
    if kind is GridPinpadEnv:
        state["generator"] = change(state["generator"])
    else:
        state["generators"][-1] = change(state["generators"][-1])
    with pytest.raises(ValueError, match="random generator has no state of a PCG64"):
        env.set_state(state)
    assert plain(env) == before


@pytest.mark.parametrize("kind", [GridPinpadEnv, GridPinpadVectorEnv])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 5}, "needs a cell of its own, from 0 to 24"),
        ({"walls": 3}, "objects of int64 and shape"),
        ({"task": "heldout"}, "task .* in row"),
    ],
)
def test_a_snapshot_of_other_options_is_refused(
    kind: type[Env], options: dict[str, Any], message: str
) -> None:
    env = begun(kind, **options)
    before, other = plain(env), begun(kind)
    state = other.get_state()
    state["episodes"].task[:] = 1
    with pytest.raises(ValueError, match=message):
        env.set_state(state)
    assert plain(env) == before


@pytest.mark.parametrize("kind", [GridPinpadEnv, GridPinpadVectorEnv])
@pytest.mark.parametrize("state", [{}, {"generators": [None] * N}, {"generators": 3}])
def test_what_is_no_snapshot_is_refused(kind: type[Env], state: dict[str, Any]) -> None:
    env = begun(kind)
    before = plain(env)
    with pytest.raises(ValueError, match="a snapshot"):
        env.set_state(state)
    assert plain(env) == before


@pytest.mark.parametrize("kind", [GridPinpadEnv, GridPinpadVectorEnv])
def test_nothing_is_stepped_or_drawn_before_a_reset(kind: type[Env]) -> None:
    env = made(kind)
    with pytest.raises(ResetNeeded, match=r"have no board yet; call reset\(\) first"):
        env.step(0 if kind is GridPinpadEnv else np.zeros(N, int))
    with pytest.raises(ResetNeeded):
        env.render()
    with pytest.raises(ValueError, match="each needs a cell of its own"):
        env.set_state(env.get_state())
    made_later = begun(kind).get_state()
    env.set_state(made_later)
    assert plain(env) == plain(begun(kind))
    env.step(0 if kind is GridPinpadEnv else np.zeros(N, int))


def test_rows_that_a_first_reset_left_out_have_no_board() -> None:
    env = GridPinpadVectorEnv(N, "Disabled", **OPTIONS)
    env.reset(seed=0, options={"reset_mask": np.array([True, False, True])})
    with pytest.raises(ResetNeeded, match=r"rows \[1\] have no board"):
        env.step(np.zeros(N, int))
    env.reset(seed=0, options={"reset_mask": np.array([False, True, False])})
    env.step(np.zeros(N, int))


def test_a_board_to_begin_on_is_one_of_this_world() -> None:
    env = GridPinpadVectorEnv(N, **OPTIONS)
    for objects, start, message in (
        (np.arange(24).reshape(2, 12), [47, 48], "2 boards; give one"),
        (np.arange(12)[None], [11], "each needs a cell of its own"),
        (np.arange(11)[None], [48], "a board of 11 objects; this world's have 12"),
    ):
        with pytest.raises(ValueError, match=message):
            env.fix(Layouts(objects, np.array(start)))


def test_agents_that_roam_make_no_other_moves() -> None:
    roaming = Roaming(PinpadWorld(PinpadConfig()), 2)
    roaming.reset(seed=0)
    for actions in (np.array([0, -1]), np.array([4, 0]), np.zeros(3, int)):
        with pytest.raises(ValueError, match="give 2 integers from 0 to 3"):
            roaming.step(actions)
