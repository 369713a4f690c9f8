"""The ant's environment beside Gymnasium's Ant-v5, and how fast its expert plays demonstrations.

    ant.speedup_vs_async                 default physics here; RK4, as everywhere, there
    ant.speedup_vs_async_equal_physics   RK4 (Gymnasium's integrator and time step) both

Control steps of 64 rows with random torques; observations and resets are in the time. Beside
``AsyncVectorEnv``, whose Ant-v5 does not start without imageio.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.measuring import PEERS, Setting, Values, in_turn, ratios, require
from irl_lens.envs.ant.vector_env import AntPinpadVectorEnv
from irl_lens.envs.registry import ANT, make_world

ROWS, THREADS = 64, 2


def measure(setting: Setting) -> Values:
    """Times the environments in turn.

    Raises:
        MissingError: Gymnasium's ant lacks what it draws with.
    """
    require("imageio", PEERS)
    rows, steps = (2, 2) if setting.small else (ROWS, 200)
    envs = {
        "default": AntPinpadVectorEnv(rows, threads=THREADS),
        "rk4": AntPinpadVectorEnv(rows, threads=THREADS, integrator="rk4"),
        "async": gym.make_vec("Ant-v5", rows, vectorization_mode="async"),
    }
    took = in_turn({name: _playing(env, rows, steps) for name, env in envs.items()}, setting)
    envs["async"].close()
    return {
        "ant.steps_per_s": [rows * steps / seconds for seconds in took["default"]],
        "ant.rk4.steps_per_s": [rows * steps / seconds for seconds in took["rk4"]],
        "ant.speedup_vs_async": ratios(took["async"], took["default"]),
        "ant.speedup_vs_async_equal_physics": ratios(took["async"], took["rk4"]),
    }


def measure_expert(setting: Setting) -> Values:
    """Steps of kept demonstrations a second of processor time, by trajectories a draw."""
    world, found = make_world(ANT), {}
    for n in (1,) if setting.small else (64, 128, 256):
        found[f"ant.expert.{n}.kept_steps_per_cpu_s"] = rates = []
        for seed in range(setting.rounds):
            began = time.process_time()
            steps = int(world.demonstrate(n, seed=seed).mask.sum())
            rates.append(steps / (time.process_time() - began))
    return found


def _playing(env: Any, rows: int, steps: int) -> Callable[[], None]:
    actions = np.random.default_rng(0).uniform(-1, 1, (steps, rows, 8)).astype(np.float32)

    def play() -> None:
        env.reset(seed=0)
        for action in actions:
            env.step(action)

    return play
