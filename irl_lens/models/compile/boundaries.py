"""Where segments end: relaxed positions, the soft masks that they make, and their prior.

Of a sequence of T steps, b_k in 1..T is the step (from 0) at which the k-th of M segments is over,
and b_M = T. With b_k as a distribution over positions, one-hot when it is certain, and its
cumulated sum c_k(t) = P(b_k <= t), step t is in segment i with

    m_i(t) = (1 - c_i(t)) prod_{k<i} c_k(t),      sum_i m_i(t) = 1 - prod_k c_k(t) = 1 for t < T

(Kipf et al. 2019, arXiv 1812.01483; the sum telescopes, as c_M(t) = 0 before T). Positions are
drawn from the Concrete distribution (Maddison et al. 2017, arXiv 1611.00712),

    b = softmax((logits + Gumbel noise) / temperature)

which becomes one-hot, and an exact draw, as the temperature goes to 0. The prior of a segment's
length n is Poisson's, n = 1..T of T steps that are left:  p(n) ~ lambda^n / n!, normalised.
Given the position before, that is a prior of the next; as its expectation is not to be had from
relaxed positions, the divergence is that of the first, times M, as in the authors' code.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Positions = Float[Tensor, "rows positions"]
"""A number for each position 0..T, T of the longest row."""
Lead = Float[Tensor, "*lead positions"]
EachSegment = Float[Tensor, "segments rows positions"]


def possible(lengths: Int[Tensor, " rows"], positions: int) -> Bool[Tensor, "rows positions"]:
    """Marks where the segments of sequences may end: after a step at least, and by the end.

    Args:
        lengths: Steps of each sequence.
        positions: How many there are, one more than the longest has steps.
    """
    place = torch.arange(positions, device=lengths.device)
    return (place >= 1) & (place <= lengths[:, None])


def relaxed(logits: Lead, noise: Lead | None, temperature: float) -> Lead:
    """Draws relaxed one-hot vectors; the likeliest position, exactly, without noise.

    Args:
        logits: Of each position; -inf where it cannot be.
        noise: Uniform, within (0, 1).
        temperature: Of the Concrete distribution.
    """
    if noise is None:
        return torch.nn.functional.one_hot(logits.argmax(dim=-1), logits.shape[-1]).to(logits)
    return ((logits - (-noise.log()).log()) / temperature).softmax(dim=-1)


def reached(boundaries: Lead) -> Lead:
    """c(t), the probability that a boundary lies at t or before."""
    return boundaries.cumsum(dim=-1).clamp(max=1)


def begun(boundaries: EachSegment) -> EachSegment:
    """prod_{k<i} c_k(t), the probability that all segments before each are over."""
    over = reached(boundaries)
    return torch.cat([torch.ones_like(over[:1]), over[:-1].cumprod(dim=0)])


def segment_masks(boundaries: EachSegment) -> EachSegment:
    """m_i(t), the probability that a position is in each segment."""
    return (1 - reached(boundaries)) * begun(boundaries)


def log_prior(
    lengths: Int[Tensor, " rows"], positions: int, rate: float
) -> Float[Tensor, "rows positions"]:
    """ln p of the first boundary's position [nats]; -inf where it cannot be.

    Args:
        lengths: Steps of each sequence.
        positions: How many there are.
        rate: lambda, steps of a segment.
    """
    place = torch.arange(positions, device=lengths.device, dtype=torch.float32)
    poisson = place * math.log(rate) - torch.lgamma(place + 1)
    return poisson.where(possible(lengths, positions), -torch.inf).log_softmax(dim=-1)


def boundary_kl(logits: Positions, prior: Positions) -> Float[Tensor, " rows"]:
    """KL of the distribution of a position to its prior [nats].

    Args:
        logits: Of the distribution; -inf where the prior has no probability.
        prior: Its logarithms.
    """
    log_q = logits.log_softmax(dim=-1)
    # Where a position cannot be, both are -inf and nothing is added.
    return (log_q.exp() * (log_q - prior).masked_fill(prior.isinf(), 0)).sum(dim=-1)
