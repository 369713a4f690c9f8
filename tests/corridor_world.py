"""What a user writes: a corridor with a key, a lever and a door, to be visited in an order.

The agent sees where it is and where the three are, and not which it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from irl_lens.envs import GymnasiumWorld, register_world

SITES = ("key", "lever", "door")
TRAIN = ((0, 1), (1, 2), (2, 0), (2, 1))
HELDOUT = (0, 2, 1)


@dataclass(frozen=True)
class CorridorConfig:
    """Settings of the corridor; each can be set on the command line, as ``world.length=9``."""

    length: int = 7
    horizon: int = 24
    labelled: bool = True


class CorridorEnv(gym.Env[dict[str, Any], int]):
    """A row of cells; actions are 0, left, and 1, right."""

    def __init__(self, length: int, tasks: tuple[tuple[int, ...], ...]) -> None:
        self.length, self.tasks = length, tasks
        cell, sites = spaces.Discrete(length), spaces.MultiDiscrete([length] * len(SITES))
        self.observation_space = spaces.Dict({"agent": cell, "sites": sites})
        self.action_space = spaces.Discrete(2)  # type: ignore[assignment]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Puts everything on a cell of its own."""
        super().reset(seed=seed)
        cells = self.np_random.permutation(self.length)
        self.sites, self.agent = cells[: len(SITES)], int(cells[-1])
        self.task, self.stage = self.tasks[self.np_random.integers(len(self.tasks))], 0
        return self.seen(), {}

    def step(self, action: int) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Moves the agent."""
        self.agent = int(np.clip(self.agent + 2 * action - 1, 0, self.length - 1))
        self.stage += self.agent == self.sites[self.goal]
        done = self.stage == len(self.task)
        return self.seen(), float(done), done, False, {}

    @property
    def goal(self) -> int:
        """Number of the site to visit next."""
        return self.task[self.stage]

    def seen(self) -> dict[str, Any]:
        """What the agent sees."""
        return {"agent": self.agent, "sites": self.sites.copy()}


def expert(env: gym.Env, seen: dict[str, Any], rng: np.random.Generator) -> int:
    """Walks to the site to visit next."""
    return int(seen["sites"][env.unwrapped.goal] > seen["agent"])  # type: ignore[attr-defined]


def make(config: CorridorConfig) -> GymnasiumWorld:
    """Builds the world."""
    labels = {"subgoals": SITES, "subgoal": lambda env: env.unwrapped.goal}
    labels |= {"heldout_subgoals": HELDOUT}
    return GymnasiumWorld(
        lambda: CorridorEnv(config.length, TRAIN),
        config.horizon,
        expert,
        heldout=lambda: CorridorEnv(config.length, (HELDOUT,)),
        **(labels if config.labelled else {}),
    )


def recorded(count: int, labelled: bool) -> list[dict[str, Any]]:
    """Episodes as Minari keeps them, one observation more than actions."""
    env, rng, episodes = CorridorEnv(7, TRAIN), np.random.default_rng(0), []
    for number in range(count):
        seen, actions, subgoals, over = [env.reset(seed=number)[0]], [], [], False
        while not over:
            subgoals.append(env.goal)
            actions.append(expert(env, seen[-1], rng))
            shown, _, over, *_ = env.step(actions[-1])
            seen.append(shown)
        nested = {name: np.array([x[name] for x in seen]) for name in ("agent", "sites")}
        episodes.append({"observations": nested, "actions": np.array(actions)})
        episodes[-1] |= {"subgoals": subgoals} if labelled else {}
    return episodes


def recorded_world(episodes: Any, **labels: Any) -> GymnasiumWorld:
    """A world of episodes, with no expert."""
    return GymnasiumWorld(lambda: CorridorEnv(7, TRAIN), 24, episodes=episodes, **labels)


register_world("corridor", CorridorConfig, make)
