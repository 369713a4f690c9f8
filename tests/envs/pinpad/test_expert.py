"""The expert's demonstrations, played back through the environment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.vector_env import GridPinpadVectorEnv
from irl_lens.envs.pinpad.world import PinpadWorld
from irl_lens.envs.registry import PinpadConfig
from irl_lens.envs.trajectories import Trajectories

WORLDS = {
    "grid": PinpadConfig(),
    "egocentric": PinpadConfig(observation="egocentric"),
    "onehot": PinpadConfig(observation="onehot"),
    "small": PinpadConfig(4, 4, 3, 60, "paper-ant"),
}


def replay(
    world: PinpadWorld, shown: Trajectories, task: str
) -> tuple[GridPinpadVectorEnv, NDArray[Any], dict[str, Any]]:
    """Puts a vector environment on the boards, tasks and starts of demonstrations."""
    env = world.vector_env(len(shown), task=task)
    env.reset(seed=0)
    state = env.get_state()
    episodes = state["episodes"]
    episodes.objects, episodes.start = shown.extras["objects"], shown.extras["start"]
    episodes.cell, episodes.task = shown.extras["start"], np.maximum(shown.require("tasks"), 0)
    return env, *env.set_state(state)


@pytest.mark.parametrize("task", ["train", "heldout"])
@pytest.mark.parametrize("epsilon", [0.0, 0.3])
@pytest.mark.parametrize("name", WORLDS)
def test_every_demonstration_succeeds_on_its_last_step(
    name: str, epsilon: float, task: str
) -> None:
    world = PinpadWorld(WORLDS[name])
    shown = world.demonstrate(64, seed=1, epsilon=epsilon, task=task)
    env, now, info = replay(world, shown, task)
    rewards = np.zeros(len(shown))
    for step in range(shown.mask.shape[1]):
        live = shown.mask[:, step]
        assert (info["subgoal"] == shown.require("subgoals")[:, step])[live].all()
        assert (info["visit"] == shown.require("visits")[:, step])[live].all()
        assert (info["progress"] == shown.require("progress")[:, step])[live].all()
        np.testing.assert_array_equal(now[live], shown.observations[live, step])
        now, reward, terminated, truncated, info = env.step(shown.actions[:, step])
        rewards += reward
        over = step + 1 >= shown.lengths
        np.testing.assert_array_equal(terminated, over)
        assert not truncated.any()
    np.testing.assert_array_equal(rewards, 1.0)


def test_a_noisy_expert_is_slower_but_keeps_within_the_horizon() -> None:
    world = PinpadWorld(PinpadConfig(5, 4, 2, 24, "paper-ant"))
    clean = world.demonstrate(400, seed=0)
    noisy = world.demonstrate(400, seed=0, epsilon=0.5)
    assert noisy.lengths.mean() > clean.lengths.mean() + 1
    env, _, _ = replay(world, noisy, "train")
    terminated = truncated = np.zeros(0, bool)
    info: dict[str, Any] = {}
    for step in range(noisy.mask.shape[1]):
        _, _, terminated, truncated, info = env.step(noisy.actions[:, step])
    assert terminated.all() and info["success"].all() and not truncated.any()


def test_demonstrations_depend_on_the_seed_alone() -> None:
    world = PinpadWorld(PinpadConfig())
    first, again, other = (world.demonstrate(8, seed=s) for s in ((3, 1), (3, 1), (3, 2)))
    np.testing.assert_array_equal(first.observations, again.observations)
    np.testing.assert_array_equal(first.actions, again.actions)
    assert first.extras["objects"].tolist() != other.extras["objects"].tolist()


def test_ties_are_broken_evenly() -> None:
    world = PinpadWorld(PinpadConfig(5, 4, 0, 50, "paper-ant"))
    shown = world.demonstrate(2_000, seed=0)
    known = world.floor(shown).require("known_probs")
    two = shown.mask & (known.max(axis=2) == 0.5)
    first = known.argmax(axis=2) == shown.actions
    assert abs(first[two].mean() - 0.5) < 4 * 0.5 / np.sqrt(two.sum())


@pytest.mark.parametrize("task, mean", [("train", 31.4), ("heldout", 63.0)])
def test_mean_optimal_lengths_of_the_paper_grid(task: str, mean: float) -> None:
    shown = PinpadWorld(PinpadConfig()).demonstrate(1_500, seed=0, task=task)
    standard_error = shown.lengths.std() / np.sqrt(len(shown))
    assert abs(shown.lengths.mean() - mean) < 4 * standard_error


def test_a_board_that_can_never_be_solved_is_an_error() -> None:
    world = PinpadWorld(PinpadConfig(horizon=3))
    with pytest.raises(ValueError, match=r"solvable within horizon 3.*larger board or horizon"):
        world.demonstrate(1, seed=0)
