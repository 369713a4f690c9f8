"""PPO's clipped surrogate without a critic, on whole trajectories.

The paper's internal RL (arXiv 2512.20605, App. E): one reward R a trajectory, one
advantage for all its decisions, normalised over the whole batch,

    A_n = (R_n - mean R) / (std R + 1e-3)
    J   = 1/N sum_n sum_k min(r_nk A_n, clip(r_nk, 1 - c, 1 + c) A_n)
    r_nk = pi(decision k of trajectory n) / pi_old(...)

with no groups, no reference policy and AdamW without weight decay. The clip range and
the number of epochs are not stated in the paper and are configuration. A batch whose
advantages are all zero (every episode failed, or every one succeeded) carries no signal
and makes no update at all: not even the optimizer's momentum moves the policy.

Processes that train together each have some of the trajectories: sums go over all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from irl_lens.config.rl import RLConfig
from irl_lens.processes import totals
from irl_lens.training.parallel import backward, in_threads

SPREAD_FLOOR = 1e-3
"""Added to the standard deviation of the returns (paper, App. E)."""


@dataclass(frozen=True)
class Chunk:
    """Some trajectories of a batch, and how to score their decisions again.

    Attributes:
        evaluate: Returns log-probabilities in nats and entropies, each
            ``[rows, decisions]``, under the current policy, differentiably.
        old: Log-probabilities at the time of acting.
        mask: True on decisions, False on padding.
        advantages: One a row.
    """

    evaluate: Callable[[], tuple[Tensor, Tensor]]
    old: Float[Tensor, "rows decisions"]
    mask: Bool[Tensor, "rows decisions"]
    advantages: Float[Tensor, " rows"]


def advantages(returns: Float[Tensor, " rows"]) -> Float[Tensor, " rows"]:
    """Normalises the returns of a whole batch; exactly zero when they are all equal."""
    # The mean of equal numbers need not be that number, and Adam makes a full step of any gradient.
    if bool((returns == returns[0]).all()):
        return torch.zeros_like(returns)
    centred = returns - returns.mean()
    return centred / (returns.std(correction=0) + SPREAD_FLOOR)


def surrogate(
    log_prob: Float[Tensor, "rows decisions"],
    old: Float[Tensor, "rows decisions"],
    mask: Bool[Tensor, "rows decisions"],
    advantages: Float[Tensor, " rows"],
    clip: float,
) -> Float[Tensor, ""]:
    """Clipped objective, summed over decisions and trajectories (to be maximised)."""
    ratio = (log_prob - old).masked_fill(~mask, 0.0).exp()
    advantage = advantages[:, None]
    bounded = torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)
    return bounded.masked_fill(~mask, 0.0).sum()


def update(
    chunks: Sequence[Chunk], optimizer: torch.optim.Optimizer, config: RLConfig
) -> dict[str, float]:
    """Takes ``config.epochs`` full-batch steps; none at all on a batch without signal.

    Args:
        chunks: The batch, cut into pieces whose gradients are accumulated.
        optimizer: Over the policy's parameters only.
        config: Clip range, epochs and entropy weight.

    Returns:
        ``entropy`` (nats a decision, of the policy that acted) and, of the policy after
        the update, ``kl`` (nats a decision, from the one that acted to it) and ``clipped``
        (share of decisions whose ratio has left the clip range).
    """
    old = torch.cat([chunk.old[chunk.mask] for chunk in chunks]).double()
    advantages = torch.cat([chunk.advantages for chunk in chunks])
    sums = {"log_prob": float(old.sum()), "decisions": len(old), "rows": len(advantages)}
    sums = totals({**sums, "signal": float(advantages.count_nonzero())})
    figures = {"kl": 0.0, "clipped": 0.0, "entropy": -sums["log_prob"] / sums["decisions"]}
    if not sums["signal"]:
        return figures
    for _ in range(config.epochs):
        _epoch(chunks, optimizer, config, sums["rows"])
    return {**figures, **drift(chunks, config.clip)}


def _epoch(
    chunks: Sequence[Chunk], optimizer: torch.optim.Optimizer, config: RLConfig, rows: float
) -> None:
    def loss(chunk: Chunk) -> tuple[Tensor, dict[str, float]]:
        log_prob, entropy = chunk.evaluate()
        gain = surrogate(log_prob, chunk.old, chunk.mask, chunk.advantages, config.clip)
        bonus = config.entropy * entropy.masked_fill(~chunk.mask, 0.0).sum()
        return -(gain + bonus) / rows, {}

    trained = [p for group in optimizer.param_groups for p in group["params"]]
    backward(trained, [partial(loss, chunk) for chunk in chunks])
    optimizer.step()


def drift(chunks: Sequence[Chunk], clip: float) -> dict[str, float]:
    """Compares the current policy with the one that acted, averaged over decisions.

    The KL divergence is estimated from the recorded decisions alone, as the mean of
    r - 1 - ln r, which is never negative.
    """

    @torch.no_grad()
    def drifted(chunk: Chunk) -> Tensor:
        return (chunk.evaluate()[0] - chunk.old)[chunk.mask]

    log_ratio = torch.cat(in_threads([partial(drifted, chunk) for chunk in chunks])).double()
    ratio = log_ratio.exp()
    kl, clipped = (ratio - 1 - log_ratio).sum(), ((ratio - 1).abs() > clip).sum()
    sums = totals({"kl": float(kl), "clipped": float(clipped), "decisions": len(ratio)})
    return {name: sums[name] / sums["decisions"] for name in ("kl", "clipped")}
