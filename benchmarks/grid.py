"""The grid environment: steps a second on one core, and beside Gymnasium's ``SyncVectorEnv``.

env.grid.steps_per_s_core       8,192 rows as roll-outs use them: sparse, none reset, and all of
                                them alive, as moves that end an episode are left out
env.grid.random_steps_per_s_core    the same rows, dense, by any random moves: one row in six is
                                    drawn anew at each step
env.grid.vs_sync                64 rows, dense, by any random moves, both
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv

from benchmarks.measuring import Setting, Values, in_turn, ratios
from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.dynamics import transition
from irl_lens.envs.pinpad.spec import PinpadConfig
from irl_lens.envs.pinpad.vector_env import GridPinpadVectorEnv, rows_of
from irl_lens.envs.protocol import MAX_HORIZON

SYNC_ROWS = 64
"""Rows beside ``SyncVectorEnv``."""


def measure(setting: Setting) -> Values:
    """Times all of them."""
    rows, steps, few = (16, 4, 4) if setting.small else (8_192, 40, 200)
    made = [GridPinpadVectorEnv(n) for n in (rows, SYNC_ROWS)]
    sync = gym.make_vec("irl_lens/GridPinpad-v0", SYNC_ROWS, vectorization_mode="sync")
    calls = {
        "alive": alive(PinpadConfig(), rows, steps, 1 + setting.rounds),
        "many": at_random(made[0], steps // 4),
        "few": at_random(made[1], few),
        "sync": at_random(sync, few),
    }
    took = in_turn(calls, setting)
    sync.close()
    return {
        "env.grid.steps_per_s_core": [rows * steps / seconds for seconds in took["alive"]],
        "env.grid.random_steps_per_s_core": [rows * (steps // 4) / t for t in took["many"]],
        "env.grid.b64.random_steps_per_s_core": [SYNC_ROWS * few / t for t in took["few"]],
        "env.grid.vs_sync": ratios(took["sync"], took["few"]),
    }


def alive(config: PinpadConfig, rows: int, steps: int, calls: int) -> Callable[[], None]:
    """Returns what takes the next steps of a walk that ends no episode, as often as given."""
    env = rows_of(replace(config, horizon=MAX_HORIZON), rows)
    walk = harmless(env, calls * steps)
    env.reset(seed=0)
    ahead = iter(walk)
    return lambda: _play(env, islice(ahead, steps))


def harmless(env: GridPinpadVectorEnv, steps: int) -> NDArray[np.int64]:
    """Random actions from a reset with seed 0, of those after which a row is not over."""
    draw, walk = np.random.default_rng(0), []
    env.reset(seed=0)
    for _ in range(steps):
        actions = draw.integers(4, size=env.num_envs)
        for _ in range(3):
            actions = np.where(_ends(env, actions), (actions + 1) % 4, actions)
        walk.append(actions)
        env.step(actions)
    return np.stack(walk)


def _ends(env: GridPinpadVectorEnv, actions: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Where an action would end the episode."""
    episodes, state = env._episodes, env._episodes.state
    goals = episodes.goals[state.task]
    new = transition(episodes._terrain, goals, state.cell, state.progress, actions)
    return new.success | new.failure


def at_random(env: VectorEnv, steps: int) -> Callable[[], None]:
    """Returns what takes random actions in an environment that was reset once."""
    actions = np.random.default_rng(0).integers(4, size=(steps, env.num_envs))
    env.reset(seed=0)
    return lambda: _play(env, actions)


def _play(env: VectorEnv, actions: Iterable[NDArray[np.int64]]) -> None:
    for action in actions:
        env.step(action)
