"""The single environment: Gymnasium's contract, options and snapshots."""

from __future__ import annotations

import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import irl_lens.envs  # noqa: F401
from irl_lens.envs.pinpad.env import GridPinpadEnv

ID = "irl_lens/GridPinpad-v0"


@pytest.mark.parametrize("observation", ["onehot", "egocentric"])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("solvable", [False, True])
def test_gymnasium_checks_pass(observation: str, sparse: bool, solvable: bool) -> None:
    env = gym.make(ID, observation=observation, sparse=sparse, solvable=solvable)
    check_env(env.unwrapped)


def test_the_paper_s_observation_has_637_numbers_and_13_ones() -> None:
    env = gym.make(ID)
    observation, _ = env.reset(seed=0)
    assert observation.shape == (637,) and observation.sum() == 13


def test_sparse_observations_index_the_ones_of_dense_ones() -> None:
    for observation in ("onehot", "egocentric"):
        dense, sparse = (GridPinpadEnv(observation=observation, sparse=s) for s in (False, True))
        assert sparse.observation_space.shape == (13 + (observation == "egocentric"),)
        full, indices = dense.reset(seed=3)[0], sparse.reset(seed=3)[0]
        for action in (0, 1, 2, 3, 1, 2):
            np.testing.assert_array_equal(np.flatnonzero(full), indices)
            full, indices = dense.step(action)[0], sparse.step(action)[0]


def test_registration_and_environments_load_no_torch() -> None:
    code = (
        "import sys, gymnasium as gym, irl_lens.envs, irl_lens.envs.pinpad.world\n"
        f"gym.make('{ID}').reset(seed=0)\n"
        f"gym.make_vec('{ID}', 2).reset(seed=0)\n"
        "print([m for m in ('torch', 'transformer_lens', 'mujoco') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_module_form_of_the_id_registers_by_itself() -> None:
    code = f"import gymnasium as gym; print(gym.make('irl_lens.envs:{ID}').spec.id)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ID


def test_info_tells_what_the_observation_does_not() -> None:
    env = GridPinpadEnv(task="heldout")
    _, info = env.reset(seed=0)
    assert info == {"subgoal": 0, "visit": 0, "progress": 0, "solvable": True, "success": False}


def test_training_tasks_are_drawn_uniformly_and_a_task_set_is_kept_to() -> None:
    env = GridPinpadEnv(solvable=False)
    env.reset(seed=0)
    tasks = [env.get_state()["episodes"].task[0] for _ in range(1_600) if env.reset()]
    counts = np.bincount(tasks, minlength=16)
    assert counts.shape == (16,) and counts.min() > 50 and counts.max() < 150
    env = GridPinpadEnv(task=[[1, 0, 2], [3, 1, 3]], solvable=False)
    subgoals = {env.reset(seed=seed)[1]["subgoal"] for seed in range(20)}
    assert subgoals == {1, 3}


@pytest.mark.parametrize("task, unsolvable", [("train", 0.15), ("heldout", 0.19)])
def test_unsolvable_boards_are_as_frequent_as_they_should_be(task: str, unsolvable: float) -> None:
    vector = gym.make_vec(ID, 4_000, task=task, solvable=False, sparse=True)
    share = 1 - vector.reset(seed=0)[1]["solvable"].mean()
    assert abs(share - unsolvable) < 0.02


def test_solvable_means_every_board_is() -> None:
    vector = gym.make_vec(ID, 1_000, task="heldout", sparse=True)
    assert vector.reset(seed=0)[1]["solvable"].all()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"size": 3}, "take fewer objects or a larger size"),
        ({"colours": 6}, "names colour 7, but the world has 6 colours"),
        ({"grammar": "x"}, "no grammar 'x'"),
        ({"task": "x"}, "no task 'x'"),
        ({"task": (0, 9)}, "names subgoal 9"),
        ({"task": ()}, "empty task"),
        ({"prefix": 4}, r"prefix of task 'train' 4; take a whole number from 1 to 3"),
        ({"horizon": 0}, "horizon 0; take a whole number from 1 to 1024"),
        ({"render_mode": "human"}, "no render mode 'human'"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GridPinpadEnv(**options)  # type: ignore[arg-type]


def test_a_board_that_can_never_be_solved_is_an_error() -> None:
    env = GridPinpadEnv(horizon=3)
    with pytest.raises(ValueError, match=r"on 0 of 1000 boards drawn the task .* within horizon 3"):
        env.reset(seed=0)


@pytest.mark.parametrize(
    "action", [4, -1, 1.0, None, True, "1", [1], np.array([1]), np.float32(1), np.bool_(True)]
)
def test_actions_out_of_range_are_refused(action: object) -> None:
    env = GridPinpadEnv()
    env.reset(seed=0)
    with pytest.raises(ValueError, match="take an integer from 0 to 3"):
        env.step(action)


def test_a_snapshot_forks_the_episode_and_the_generator() -> None:
    options = {"horizon": 12, "sparse": True, "observation": "egocentric", "solvable": False}
    env = GridPinpadEnv(**options)
    env.reset(seed=5)
    actions = np.random.default_rng(0).integers(4, size=60)
    for action in actions[:5]:
        env.step(action)
    state = env.get_state()
    futures = []
    for fork in (env, env, GridPinpadEnv(**options)):
        fork.set_state(state)
        futures.append(_future(fork, actions))
    assert futures[0] == futures[1] == futures[2]


def _future(env: GridPinpadEnv, actions: np.ndarray) -> list[object]:
    seen: list[object] = []
    for action in actions:
        observation, *rest = env.step(action)
        seen.append((observation.tolist(), rest))
        if rest[1] or rest[2]:
            observation, info = env.reset()
            seen.append((observation.tolist(), info))
    return seen
