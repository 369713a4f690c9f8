"""Generalised advantage estimation (Schulman et al. 2016, arXiv 1506.02438, eq. 16).

    delta_t = r_t + gamma V_{t+1} - V_t
    A_t     = delta_t + gamma lambda A_{t+1}

where nothing comes after an end: V_{t+1} and A_{t+1} count as 0. Where a row was only stopped,
the worth of what would have come stands in the reward, r_t + gamma V(last).
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def generalised_advantages(
    rewards: Float[Tensor, "steps n"],
    values: Float[Tensor, "steps_and_one n"],
    over: Bool[Tensor, "steps n"],
    discount: float,
    trace: float,
) -> Float[Tensor, "steps n"]:
    """Returns the advantage of every action.

    Args:
        rewards: Of every step, with what a stopped row would have brought.
        values: The critic's, before every step and after the last.
        over: Whether the row began anew after the step.
        discount: gamma.
        trace: lambda; 1 trusts the rewards alone, 0 the critic.
    """
    goes_on = (~over).to(rewards.dtype)
    deltas = rewards + discount * values[1:] * goes_on - values[:-1]
    advantages, after = torch.empty_like(rewards), torch.zeros_like(rewards[0])
    for step in reversed(range(len(rewards))):
        after = deltas[step] + discount * trace * goes_on[step] * after
        advantages[step] = after
    return advantages
