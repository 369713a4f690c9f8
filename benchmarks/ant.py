"""Times the ant's environment beside Gymnasium's Ant-v5, in turn, in one process.

Prints JSON: control steps a second, median of some repeats, and their ratios: this environment with
its default physics, and with RK4 (Gymnasium's integrator and time step), against ``AsyncVectorEnv``
of Ant-v5, which wants ``pip install imageio``. Then how fast the expert plays demonstrations.

    python benchmarks/ant.py [--rows 64] [--steps 200] [--repeats 5] [--threads 2]
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np

from irl_lens.envs.ant.vector_env import AntPinpadVectorEnv
from irl_lens.envs.registry import ANT, make_world
from irl_lens.hooks.files.json_text import to_json

SPEED = {"default": {}, "rk4": {"integrator": "rk4"}}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("rows", 64), ("steps", 200), ("repeats", 5), ("threads", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    ours = {
        name: AntPinpadVectorEnv(given.rows, threads=given.threads, **options)
        for name, options in SPEED.items()
    }
    theirs = gym.make_vec("Ant-v5", given.rows, vectorization_mode="async")
    every: dict[str, Any] = {**ours, "gymnasium async": theirs}
    seconds: dict[str, list[float]] = {name: [] for name in every}
    for repeat in range(given.repeats + 1):
        for name, env in every.items():
            took = timed(env, given.rows, given.steps)
            if repeat:  # the first warms up
                seconds[name].append(took)
    theirs.close()
    steps = given.rows * given.steps
    rates = {name: round(steps / statistics.median(took)) for name, took in seconds.items()}
    ratios = {
        name: round(
            statistics.median(
                b / a for a, b in zip(seconds[name], seconds["gymnasium async"], strict=True)
            ),
            2,
        )
        for name in ours
    }
    versions = {"mujoco": mujoco.__version__, "gymnasium": gym.__version__}
    kept = demonstrated(given.repeats)
    print(
        to_json(
            {**vars(given), **versions, "steps a second": rates, "ratio": ratios, **kept}, indent=2
        )
    )


def demonstrated(repeats: int) -> dict[str, dict[str, int]]:
    """Steps of kept demonstrations a second of processor time, by trajectories a draw."""
    world, rates = make_world(ANT), {}
    for n in (64, 128, 256):
        found = []
        for repeat in range(repeats):
            began = time.process_time()
            steps = int(world.demonstrate(n, seed=repeat).mask.sum())
            found.append(steps / (time.process_time() - began))
        rates[str(n)] = round(statistics.median(found))
    return {"kept steps a CPU second": rates}


def timed(env: Any, rows: int, steps: int) -> float:
    """Seconds of steps with random actions, observations and resets included."""
    env.reset(seed=0)
    actions = np.random.default_rng(0).uniform(-1, 1, (steps, rows, 8)).astype(np.float32)
    began = time.perf_counter()
    for action in actions:
        env.step(action)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
