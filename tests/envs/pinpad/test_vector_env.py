"""The vector environment: bit for bit what single environments give, in every mode."""

from __future__ import annotations

import time
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st

import irl_lens.envs  # noqa: F401
from irl_lens.envs.pinpad.env import GridPinpadEnv
from irl_lens.envs.pinpad.vector_env import GridPinpadVectorEnv

ID = "irl_lens/GridPinpad-v0"
N = 6
WORLDS: list[dict[str, Any]] = [
    {"horizon": 40, "sparse": True, "observation": "egocentric"},
    {"size": 4, "colours": 4, "walls": 2, "grammar": "paper-ant", "horizon": 9},
    {"size": 4, "colours": 4, "walls": 4, "grammar": "paper-ant", "prefix": 1, "solvable": False},
]


def assert_same(ours: Any, theirs: Any) -> None:
    """Equal values, types and shapes; of infos, where Gymnasium's masks say they count."""
    assert type(ours) is type(theirs)
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs)
        for key in theirs:
            if key.startswith("_"):
                np.testing.assert_array_equal(ours[key], theirs[key])
            elif isinstance(theirs[key], dict):
                assert_same(ours[key], theirs[key])
            else:
                assert ours[key].dtype == theirs[key].dtype
                for row in np.flatnonzero(theirs[f"_{key}"]):
                    np.testing.assert_array_equal(ours[key][row], theirs[key][row], strict=True)
    else:
        np.testing.assert_array_equal(ours, theirs, strict=True)


def pair(mode: AutoresetMode, **options: Any) -> tuple[GridPinpadVectorEnv, SyncVectorEnv]:
    """Ours, and Gymnasium's loop over single environments."""
    singles = [lambda: GridPinpadEnv(**options)] * N
    return GridPinpadVectorEnv(N, mode, **options), SyncVectorEnv(singles, autoreset_mode=mode)


@pytest.mark.parametrize("options", WORLDS)
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_equal_to_single_environments(mode: AutoresetMode, options: dict[str, Any]) -> None:
    ours, theirs = pair(mode, **options)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert ours.metadata == theirs.metadata
    rng, resets = np.random.default_rng(0), 0
    for mine, other in zip(ours.reset(seed=11), theirs.reset(seed=11), strict=True):
        assert_same(mine, other)
    for _ in range(80):
        actions = rng.integers(4, size=N)
        result = ours.step(actions)
        for mine, other in zip(result, theirs.step(actions), strict=True):
            assert_same(mine, other)
        over = result[2] | result[3]
        resets += over.sum()
        if mode is AutoresetMode.DISABLED and over.any():
            again = [e.reset(options={"reset_mask": over.copy()}) for e in (ours, theirs)]
            for mine, other in zip(*again, strict=True):
                assert_same(mine, other)
    assert resets > 3
    assert [g.random() for g in ours.np_random] == [g.random() for g in theirs.np_random]


@settings(deadline=None, max_examples=20)
@given(
    st.lists(st.integers(0, 2**31), min_size=N, max_size=N),
    st.lists(st.lists(st.integers(0, 3), min_size=N, max_size=N), max_size=25),
)
def test_rows_that_are_over_stay_put_as_single_environments_do(
    seeds: list[int], actions: list[list[int]]
) -> None:
    ours = GridPinpadVectorEnv(N, "Disabled", size=5, horizon=12, solvable=False)
    singles = [GridPinpadEnv(size=5, horizon=12, solvable=False) for _ in range(N)]
    observations, _ = ours.reset(seed=seeds)
    for single, seed, row in zip(singles, seeds, observations, strict=True):
        np.testing.assert_array_equal(single.reset(seed=seed)[0], row)
    for step in actions:
        together = ours.step(np.array(step))
        for i, (single, action) in enumerate(zip(singles, step, strict=True)):
            observation, *flags, info = single.step(action)
            np.testing.assert_array_equal(together[0][i], observation)
            assert [values[i] for values in together[1:4]] == flags
            assert {key: together[4][key][i] for key in info} == info


def test_make_vec_uses_the_native_environment() -> None:
    env = gym.make_vec(ID, 3, autoreset_mode="SameStep", task="heldout")
    assert isinstance(env, GridPinpadVectorEnv)
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert env.spec is not None and env.spec.id == ID


def test_a_reset_mask_leaves_other_rows_alone() -> None:
    env = GridPinpadVectorEnv(N, "Disabled", sparse=True)
    before, _ = env.reset(seed=0)
    mask = np.array([True, False, False, True, False, False])
    after, info = env.reset(seed=[7, *[None] * (N - 1)], options={"reset_mask": mask})
    np.testing.assert_array_equal(after[~mask], before[~mask])
    assert (after[mask] != before[mask]).any(axis=1).all()
    np.testing.assert_array_equal(info["_progress"], mask)
    np.testing.assert_array_equal(after[0], GridPinpadEnv(sparse=True).reset(seed=7)[0])
    assert env.np_random_seed == (7, 1, 2, 3, 4, 5)


def test_what_was_returned_is_not_changed_later() -> None:
    env = GridPinpadVectorEnv(N, "SameStep", horizon=3, solvable=False)
    env.reset(seed=0)
    first = env.step(np.zeros(N, np.int64))
    kept = [np.array(value) for value in (*first[:4], first[4]["progress"])]
    for action in (1, 2, 3, 1, 2):
        env.step(np.full(N, action))
    for value, copy in zip((*first[:4], first[4]["progress"]), kept, strict=True):
        np.testing.assert_array_equal(value, copy)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_a_snapshot_forks_all_rows_and_generators(mode: AutoresetMode) -> None:
    options = {"size": 5, "horizon": 8, "solvable": False}
    env, other = (GridPinpadVectorEnv(N, mode, **options) for _ in range(2))
    env.reset(seed=0)
    other.reset(seed=99)
    actions = np.random.default_rng(0).integers(4, size=(40, N))
    for step in actions[:6]:
        here = env.step(step)
    state = env.get_state()
    futures = []
    for fork in (env, env, other):
        observations, info = fork.set_state(state)
        np.testing.assert_array_equal(observations, here[0])
        np.testing.assert_array_equal(info["progress"], here[4]["progress"])
        results = [fork.step(step) for step in actions]
        fork.reset(options={"reset_mask": np.arange(N) < 2})
        futures.append(([r[:4] for r in results], fork.step(actions[0])[0]))
    for future in futures[1:]:
        for a, b in zip(future[0], futures[0][0], strict=True):
            for x, y in zip(a, b, strict=True):
                np.testing.assert_array_equal(x, y)
        np.testing.assert_array_equal(future[1], futures[0][1])


def test_a_snapshot_of_another_size_is_refused() -> None:
    env = GridPinpadVectorEnv(N)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="a snapshot of 6 rows for 2"):
        GridPinpadVectorEnv(2).set_state(env.get_state())


@pytest.mark.parametrize(
    "mask", [np.ones(N), np.ones(N - 1, bool), np.zeros(N, bool)], ids=["floats", "short", "none"]
)
def test_wrong_reset_masks_are_refused(mask: np.ndarray) -> None:
    env = GridPinpadVectorEnv(N)
    with pytest.raises(ValueError, match=r"reset_mask of .*give bools of shape \(6,\)"):
        env.reset(seed=0, options={"reset_mask": mask})


@pytest.mark.parametrize(
    "actions",
    [
        np.zeros(N),
        np.zeros(N - 1, int),
        np.zeros((N, 1), int),
        np.full(N, 4),
        np.full(N, -1),
        np.full(N, 255, np.uint8),
        np.ones(N, bool),
        [None] * N,
        np.int64(1),
    ],
)
def test_wrong_actions_are_refused(actions: Any) -> None:
    env = GridPinpadVectorEnv(N)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="give 6 integers from 0 to 3"):
        env.step(actions)


def test_wrong_numbers_of_rows_and_seeds_are_refused() -> None:
    with pytest.raises(ValueError, match="num_envs 0; take a whole number from 1"):
        GridPinpadVectorEnv(0)
    with pytest.raises(ValueError, match="2 seeds for 6 rows"):
        GridPinpadVectorEnv(N).reset(seed=[1, 2])


@pytest.mark.parametrize("observation", ["onehot", "egocentric"])
def test_a_thousand_boards_step_in_under_2_ms(observation: str) -> None:
    env = GridPinpadVectorEnv(1024, "Disabled", sparse=True, observation=observation)
    env.reset(seed=0)
    times = []
    for actions in np.random.default_rng(0).integers(4, size=(50, 1024)):
        began = time.perf_counter()
        env.step(actions)
        times.append(time.perf_counter() - began)
    assert np.median(times) < 2e-3
