"""The ant's environments: Gymnasium's rules, single against vector, forks, ends."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

import irl_lens.envs  # noqa: F401
from irl_lens.envs.ant.env import AntPinpadEnv
from irl_lens.envs.ant.rules import End
from irl_lens.envs.ant.spec import AntConfig
from irl_lens.envs.ant.vector_env import AntPinpadVectorEnv, rows_of
from irl_lens.errors import UserError


def actions(steps: int, rows: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (steps, rows, 8)).astype(np.float32)


def test_gymnasium_finds_nothing_to_complain_of() -> None:
    env = gym.make("irl_lens/AntPinpad-v0", task="heldout")
    check_env(env.unwrapped, skip_render_check=True)
    assert isinstance(gym.make_vec("irl_lens/AntPinpad-v0", 2), AntPinpadVectorEnv)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_a_row_is_what_an_environment_of_its_own_is(mode: AutoresetMode) -> None:
    options: dict[str, Any] = {"horizon": 15, "grammar": "paper-ant"}
    vector = AntPinpadVectorEnv(3, mode, threads=2, **options)
    singles = [AntPinpadEnv(**options) for _ in range(3)]
    seen, info = vector.reset(seed=5)
    over = np.zeros(3, bool)
    for row, env in enumerate(singles):
        np.testing.assert_array_equal(env.reset(seed=5 + row)[0], seen[row])
    for given in actions(40, 3):
        seen, reward, terminated, truncated, info = vector.step(given)
        for row, env in enumerate(singles):
            if mode is AutoresetMode.NEXT_STEP and over[row]:
                expected, own = env.reset()
            else:
                expected, own_reward, *ends, own = env.step(given[row])
                assert [reward[row], terminated[row], truncated[row]] == [own_reward, *ends]
                over[row] = any(ends)
                if mode is AutoresetMode.SAME_STEP and over[row]:
                    np.testing.assert_array_equal(info["final_obs"][row], expected)
                    expected, own = env.reset()
                np.testing.assert_array_equal(seen[row], expected)
                assert own == {name: info[name][row] for name in own}
                continue
            over[row] = False
            np.testing.assert_array_equal(seen[row], expected)


def test_a_fork_goes_on_to_the_bit() -> None:
    env, other = AntPinpadVectorEnv(3, threads=1), AntPinpadVectorEnv(3, threads=2)
    env.reset(seed=0)
    given = actions(30, 3)
    for now in given[:15]:
        env.step(now)
    state = env.get_state()
    expected = [env.step(now) for now in given[15:]]
    other.reset(seed=9)
    seen, _ = other.set_state(state)
    for (there, *rest), now in zip(expected, given[15:], strict=True):
        seen, *own = other.step(now)
        np.testing.assert_array_equal(seen, there)
        np.testing.assert_array_equal(own[1], rest[1])
    broken = env.get_state()
    broken["episodes"].physics[0, 3] = np.nan
    before = env.get_state()
    with pytest.raises(ValueError, match="not finite"):
        env.set_state(broken)
    np.testing.assert_array_equal(env.get_state()["episodes"].physics, before["episodes"].physics)
    with pytest.raises(ValueError, match="episodes are a NoneType"):
        env.set_state({"generators": before["generators"]})


def put(env: AntPinpadEnv, place: np.ndarray, **qpos: float) -> None:
    """Puts the ant somewhere, without a step."""
    for name, value in {"x": place[0], "y": place[1], **qpos}.items():
        env._episodes.physics.qpos[0, "xyzwijk".index(name)] = value


def walk_onto(env: AntPinpadEnv, cell: int) -> tuple[float, bool, bool, dict[str, Any]]:
    """Puts the ant beside a cell, and takes a step onto it."""
    arena = env._episodes.world.arena
    inwards = -1 if arena.centres[cell][0] > 0 else 1
    beside = arena.centres[cell] + np.array([inwards * (arena.side / 2 + 0.01), 0])
    put(env, beside)
    env._episodes.physics.qvel[0] = 0
    env._episodes.physics.qvel[0, 0] = -2 * inwards
    assert env._episodes.cells[0] != cell
    found = env.step(np.zeros(8))[1:]
    assert env._episodes.cells[0] == cell
    return found


def test_the_whole_task_and_a_wrong_colour_and_a_wall() -> None:
    env = AntPinpadEnv(task=(0, 1), solvable=False)
    env.reset(seed=3)
    objects = env._episodes.state.objects[0]
    reward, terminated, truncated, info = walk_onto(env, int(objects[0]))
    assert (reward, terminated, truncated) == (0, False, False)
    assert info["progress"] == 1 and info["visit"] == 1 and not info["success"]
    reward, terminated, _, info = walk_onto(env, int(objects[1]))
    assert reward == 1 and terminated and info["success"] and info["visit"] == -1
    assert env.step(np.zeros(8))[1] == 0  # over: nothing is given twice
    for cell, end in ((objects[3], End.WRONG_COLOUR), (objects[4], End.WALL)):
        env.reset(seed=3)
        reward, terminated, _, info = walk_onto(env, int(cell))
        assert (reward, terminated, info["end"]) == (0, True, end)


def test_falls_the_edge_time_and_divergence_end_an_episode() -> None:
    env = AntPinpadEnv(horizon=3)

    def end(**change: float) -> tuple[bool, bool, int]:
        env.reset(seed=0)
        put(env, np.zeros(2), **change)
        *_, terminated, truncated, info = env.step(np.zeros(8))
        return terminated, truncated, info["end"]

    assert end(z=1.2) == (True, False, End.FALL)
    assert end(w=0.0, i=1.0, z=0.6) == (True, False, End.FALL)
    assert end(x=3.2) == (True, False, End.LEFT)
    assert end() == (False, False, End.NOT_YET)
    env.step(np.zeros(8))
    assert env.step(np.zeros(8))[3] and env._episodes.state.end[0] == End.TIME
    env.reset(seed=0)
    before = env._episodes.observe()
    env._episodes.physics.qvel[0, 0] = before_speed = 5e9
    seen, reward, terminated, truncated, info = env.step(np.zeros(8))
    assert (reward, terminated, truncated, info["end"]) == (0, False, True, End.DIVERGED)
    assert env._episodes.diverged == 1 and np.isfinite(seen).all() and before_speed > 1
    place = [env._episodes.world.observation.column_names.index(axis) for axis in "xy"]
    np.testing.assert_array_equal(seen[place], before[0, place])  # where it was, not in the middle


def test_what_is_no_torque_is_refused_and_large_ones_are_cut() -> None:
    env = AntPinpadVectorEnv(2, "Disabled")
    with pytest.raises(ResetNeeded, match=r"rows \[0, 1\] have no arena"):
        env.step(np.zeros((2, 8)))
    env.reset(seed=0)
    state = env.get_state()
    for wrong in (np.zeros(8), np.full((2, 8), np.nan), np.zeros((2, 8), bool), [["a"] * 8] * 2):
        with pytest.raises(ValueError, match="give finite numbers of shape"):
            env.step(wrong)
    one = env.step(np.full((2, 8), 1.0))[0]
    env.set_state(state)
    np.testing.assert_array_equal(env.step(np.full((2, 8), 7.0))[0], one)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": 0.1}, "cell 0.1; take a number from 0.5 to 10"),
        ({"integrator": "fast"}, "integrator 'fast'; take euler"),
        ({"timestep": 1}, "timestep 1; take a number from"),
        ({"edge": "wall"}, "edge 'wall'; take ends or open"),
        ({"fall": 1}, "fall 1; take upright or height"),
        ({"spread": True}, "spread True; take a number"),
        ({"substeps": 0}, "substeps 0; take a whole number"),
        ({"horizon": 5_000}, "horizon 5000; take a whole number"),
        ({"walls": 20}, "take fewer objects or a larger size"),
        ({"task": "all"}, "no task 'all'"),
        ({"render_mode": "human"}, "no render mode 'human'; there are: rgb_array"),
    ],
)
def test_options_that_make_no_world(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AntPinpadEnv(**options)


def test_there_is_a_path_for_the_task_unless_one_asks_for_any_arena() -> None:
    env = rows_of(AntConfig(), 200, solvable=False)
    _, info = env.reset(seed=0)
    assert 0.75 < info["solvable"].mean() < 0.95  # 0.86 are
    assert rows_of(AntConfig(), 200).reset(seed=0)[1]["solvable"].all()
    assert env.observation.columns == 80 and env.actions.size == 8


def test_a_picture_of_it_or_why_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    env = AntPinpadEnv(render_mode="rgb_array")
    env.reset(seed=0)
    try:
        picture = env.render()
    except UserError as error:
        assert "libegl1" in str(error)  # what to install
    else:
        assert picture is not None and picture.shape == (480, 480, 3)
        coloured = {tuple(c) for c in picture.reshape(-1, 3)}
        assert len(coloured) > 50
        env.step(np.ones(8))
        other = env.render()
        assert other is not None and not np.array_equal(other, picture)
    env.close()
    assert AntPinpadEnv().render() is None
