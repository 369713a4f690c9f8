#!/usr/bin/env bash
# gymnasium 1.4.0: where a time limit ends an episode, NormalizeReward carries the discounted sum
# whose deviation it divides by on into the next one, for a single environment and for a vector one
# in its default mode, NextStep: the sum goes towards that of an endless episode. In SameStep mode it
# starts anew. So for the same episodes and rewards the autoreset mode alone makes the rewards that a
# learner sees several times as large.
#
# Seen on Python 3.11, numpy 2.4.6, 100 episodes of 10 steps of reward 1, gamma 0.99, in which the
# discounted sum is 9.56 at most:
#   single:   a reward of 1 becomes 0.050, largest sum 100.00
#   NextStep: a reward of 1 becomes 0.050, largest sum 100.00
#   SameStep: a reward of 1 becomes 0.366, largest sum 8.65 (of step 9; cleared in step 10)
#
# Exits with 1 if it is no longer so.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet gymnasium==1.4.0 numpy==2.4.6

"$folder/venv/bin/python" - <<'PYTHON'
import sys

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import NormalizeReward, TimeLimit
from gymnasium.wrappers.vector import NormalizeReward as VectorNormalizeReward


class Endless(gym.Env):
    """Reward 1 at each step."""

    observation_space = gym.spaces.Box(0, 1, (1,))
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), 1.0, False, False, {}


def limited() -> gym.Env:
    return TimeLimit(Endless(), 10)


def single() -> tuple[float, float]:
    """What a reward becomes at last, and the largest sum."""
    env, largest = NormalizeReward(limited(), gamma=0.99), 0.0
    for _ in range(100):
        env.reset()
        ended = False
        while not ended:
            _, reward, _, ended, _ = env.step(0)
            largest = max(largest, float(env.discounted_reward[0]))
    return float(reward), largest


def vector(mode: AutoresetMode) -> tuple[float, float]:
    env = VectorNormalizeReward(SyncVectorEnv([limited], autoreset_mode=mode), gamma=0.99)
    env.reset(seed=0)
    largest, episodes = 0.0, 0
    while episodes < 100:
        _, reward, _, truncated, _ = env.step(np.zeros(1, int))
        largest = max(largest, float(env.accumulated_reward[0]))
        episodes += int(truncated[0])
    return float(reward[0]), largest


seen = {"single": single()}
for mode in (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP):
    seen[mode.value] = vector(mode)
for name, (reward, largest) in seen.items():
    note = " (of step 9; cleared in step 10)" if name == "SameStep" else ""
    print(f"{name + ':':9} a reward of 1 becomes {reward:.3f}, largest sum {largest:.2f}{note}")
sys.exit(not (
    seen["SameStep"][0] > 5 * seen["NextStep"][0]
    and abs(seen["single"][0] - seen["NextStep"][0]) < 1e-3
    and seen["single"][1] > 90 and seen["NextStep"][1] > 90 and seen["SameStep"][1] < 9.57
))
PYTHON
