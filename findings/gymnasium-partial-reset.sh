#!/usr/bin/env bash
# gymnasium 1.4.0: with AutoresetMode.DISABLED, where one resets ended environments oneself by
# reset(options={"reset_mask": ...}), vector.RecordEpisodeStatistics reports wrong lengths and returns
# of the others: the vector environment takes the mask out of the caller's options, so that the
# wrapper finds none and clears every environment's sums at each partial reset. Rewards and
# observations are right; where all episodes are of one length, or in the other two modes, so is all
# of it. For the same reason options used twice reset one environment first and then all of them.
#
# Seen on Python 3.11, numpy 2.4.6, episodes of 2 and of 5 steps of reward 1:
#   NextStep: lengths reported 2 2 2 2 and 5 5 5 5
#   SameStep: lengths reported 2 2 2 2 and 5 5 5 5
#   Disabled: lengths reported 2 2 1 2 and 1 2 1 2
#   the same options twice: steps into the episode 0 and 2, then 0 and 0 (not 4)
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
from gymnasium.wrappers.vector import RecordEpisodeStatistics

LENGTHS = (2, 5)


class Counter(gym.Env):
    """An episode of so many steps, each of reward 1; the observation is the step."""

    observation_space = gym.spaces.Box(0, 9, (1,))
    action_space = gym.spaces.Discrete(2)

    def __init__(self, length: int) -> None:
        self.length = length

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.steps += 1
        return np.full(1, self.steps, np.float32), 1.0, self.steps == self.length, False, {}


def environments(mode: AutoresetMode) -> SyncVectorEnv:
    return SyncVectorEnv([lambda n=n: Counter(n) for n in LENGTHS], autoreset_mode=mode)


actions, right = np.zeros(2, int), {}
for mode in AutoresetMode:
    envs = RecordEpisodeStatistics(environments(mode))
    envs.reset(seed=0)
    reported = [[], []]
    for _ in range(40):
        *_, terminated, truncated, info = envs.step(actions)
        ended = terminated | truncated
        for i in np.flatnonzero(ended):
            reported[i].append(int(info["episode"]["l"][i]))
        if mode == AutoresetMode.DISABLED and ended.any():
            envs.reset(options={"reset_mask": ended})
    short, long = reported[0][:4], reported[1][:4]
    print(f"{mode.value}: lengths reported", *short, "and", *long)
    right[mode] = short == [2] * 4 and long == [5] * 4

envs = environments(AutoresetMode.DISABLED)
envs.reset(seed=0)
options = {"reset_mask": np.array([True, False])}
seen = []
for _ in range(2):
    envs.step(actions)
    envs.step(actions)
    seen.append(envs.reset(options=options)[0].ravel().astype(int).tolist())
steps = "{} and {}, then {} and {} (not 4)".format(*sum(seen, []))
print("the same options twice: steps into the episode", steps)
wrong = [mode for mode, fine in right.items() if not fine]
sys.exit(not (wrong == [AutoresetMode.DISABLED] and seen == [[0, 2], [0, 0]]))
PYTHON
