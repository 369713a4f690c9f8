"""The rules of the pinpad, on boards drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest

from irl_lens.envs.pinpad.dynamics import terrain, transition
from irl_lens.envs.pinpad.layouts import BoardSpec, sample_layouts
from irl_lens.envs.pinpad.planner import MOVES
from tests.envs.conftest import Placer

UP, RIGHT, DOWN, LEFT = range(4)
ANT = {"grammar": "paper-ant"}  # one colour a subgoal


def play(env, actions: list[int]) -> list[tuple[float, bool, bool, int]]:
    """Returns reward, terminated, truncated and progress of every step."""
    steps = [env.step(action) for action in actions]
    return [
        (r, terminated, truncated, info["progress"]) for _, r, terminated, truncated, info in steps
    ]


def test_colours_in_order_give_reward_1_on_the_last_visit(place: Placer) -> None:
    env = place("@0.. ..1. ..32 ....", (0, 1, 2), **ANT)
    steps = play(env, [RIGHT, DOWN, RIGHT, RIGHT, DOWN])
    assert steps[0] == (0.0, False, False, 1)
    assert steps[2] == (0.0, False, False, 2)
    assert steps[4] == (1.0, True, False, 3)


def test_a_wrong_colour_ends_the_episode(place: Placer) -> None:
    env = place("@0.. 1... ..32 ....", (0, 1, 2), **ANT)
    assert play(env, [DOWN]) == [(0.0, True, False, 0)]


def test_coming_back_to_the_last_colour_is_wrong(place: Placer) -> None:
    env = place("@0.. 1... ..32 ....", (0, 1, 2), **ANT)
    assert play(env, [RIGHT, RIGHT, LEFT])[-1] == (0.0, True, False, 1)


def test_bumping_on_a_colour_is_no_visit(place: Placer) -> None:
    env = place("@0#. 1... ..32 ....", (0, 1, 2), **ANT)
    steps = play(env, [RIGHT, UP, RIGHT, UP])
    assert [s[1:] for s in steps] == [(False, False, 1)] * 4


def test_a_colour_that_comes_twice_must_be_left_and_entered_again(place: Placer) -> None:
    env = place("@0#. 1... ..32 ....", (0, 0), **ANT)
    assert play(env, [RIGHT, UP, LEFT, RIGHT])[1:] == [
        (0.0, False, False, 1),
        (0.0, False, False, 1),
        (1.0, True, False, 2),
    ]


def test_standing_on_a_wrong_colour_at_the_start_is_no_visit(place: Placer) -> None:
    env = place("@0.. 1... ..32 ....", (0, 1), **ANT)
    state = env.get_state()
    state["episodes"].cell[0] = 4
    env.set_state(state)
    assert play(env, [LEFT, UP, RIGHT]) == [
        (0.0, False, False, 0),
        (0.0, False, False, 0),
        (0.0, False, False, 1),
    ]


def test_walls_and_borders_stop_the_agent_and_end_nothing(place: Placer) -> None:
    env = place("@#0. #... ..12 ..3.", (0, 1), **ANT)
    before = env.get_state()["episodes"].cell[0]
    assert play(env, [UP, RIGHT, DOWN, LEFT]) == [(0.0, False, False, 0)] * 4
    assert env.get_state()["episodes"].cell[0] == before


def test_the_horizon_truncates_unless_the_last_step_succeeds(place: Placer) -> None:
    env = place("@0.. .1.. ..32 ....", (0, 1), horizon=2, **ANT)
    assert play(env, [UP, UP]) == [(0.0, False, False, 0), (0.0, False, True, 0)]
    env = place("@0.. .1.. ..32 ....", (0, 1), horizon=2, **ANT)
    assert play(env, [RIGHT, DOWN])[-1] == (1.0, True, False, 2)


@pytest.mark.parametrize("end", [[RIGHT, DOWN], [DOWN, RIGHT], [UP, UP]])
def test_an_episode_that_is_over_stays_as_it_is(place: Placer, end: list[int]) -> None:
    env = place("@0.. .1.. ..32 ....", (0, 1), horizon=2, **ANT)
    last = [env.step(action) for action in end][-1]
    for action in (UP, RIGHT, DOWN, LEFT):
        after = env.step(action)
        np.testing.assert_array_equal(after[0], last[0])
        assert after[1:] == (0.0, *last[2:])


def test_a_prefix_ends_the_task_early(place: Placer) -> None:
    env = place("@0.. .1.. ..32 ....", (0, 1, 2, 3), prefix=2, **ANT)
    assert play(env, [RIGHT, DOWN])[-1] == (1.0, True, False, 2)


def test_the_batched_rule_equals_the_rule_in_plain_python() -> None:
    spec, rng = BoardSpec(4, 3, 3), np.random.default_rng(0)
    layouts, n = sample_layouts(spec, 500, rng), 500
    goals = np.column_stack([rng.integers(3, size=(n, 2)), np.full(n, -1)])
    cell, progress = rng.integers(16, size=n), rng.integers(2, size=n)
    actions = rng.integers(4, size=n)
    new = transition(terrain(spec, layouts), goals, cell, progress, actions)
    for i, objects in enumerate(layouts.objects.tolist()):
        row, column = np.array(divmod(int(cell[i]), 4)) + MOVES[actions[i]]
        to = int(4 * row + column)
        if not (0 <= row < 4 and 0 <= column < 4) or to in objects[3:]:
            to = int(cell[i])
        visited = objects.index(to) if to != cell[i] and to in objects else None
        right = visited is not None and visited == goals[i, progress[i]]
        assert new.cell[i] == to
        assert new.displacement[i] == (actions[i] + 1 if to != cell[i] else 0)
        assert new.progress[i] == progress[i] + right
        assert new.success[i] == (right and progress[i] == 1)
        assert new.failure[i] == (visited is not None and not right)
