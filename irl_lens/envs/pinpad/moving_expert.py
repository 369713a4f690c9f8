"""What the expert shows on boards that change while it acts: it plans anew at every step."""

from __future__ import annotations

import numpy as np

from irl_lens.envs.pinpad.disturbed import MovingVectorEnv
from irl_lens.envs.pinpad.expert import draw_actions
from irl_lens.envs.protocol import Seed
from irl_lens.envs.trajectories import Trajectories


def demonstrate_moving(env: MovingVectorEnv, seed: Seed) -> Trajectories:
    """Lets the expert play one episode in each row, which it completes: no move keeps it from that.

    Args:
        env: Rows on which the task can be done.
        seed: Seed of everything random.

    Returns:
        One trajectory a row, padded to the longest, its task unnamed.
    """
    rng = np.random.default_rng(seed)
    observation, info = env.reset(seed=int(rng.integers(2**31)))
    live, record = np.ones(env.num_envs, bool), []
    while live.any():
        policy = env.expert_policy() * live[:, None]
        actions = draw_actions(policy, rng)
        labels = (info[name] for name in ("subgoal", "visit", "progress"))
        record.append((observation, actions, policy, live, *labels))
        observation, _, terminated, truncated, info = env.step(actions)
        live = ~(terminated | truncated)
    seen, actions, policy, mask, subgoals, visits, progress = (
        np.stack(column, axis=1) for column in zip(*record, strict=True)
    )
    return Trajectories(
        observations=seen,
        actions=actions,
        policy=policy.astype(np.float32),
        mask=mask,
        subgoals=np.where(mask, subgoals, -1),
        visits=np.where(mask, visits, -1),
        progress=progress,
        tasks=np.full(len(mask), -1),
    )
