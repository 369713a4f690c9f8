"""Continuous actions: a normal distribution of independent entries.

    a_i ~ N(c_i + s_i m_i, (s_i exp(lambda_i))^2)     lambda_i limited to LOG_DEVIATION

m are outputs of the unembedding; lambda are parameters of their own, the same at every step
("constant"), or outputs too ("state"). c and s are the centre and half the width of the limits of
an action, 0 and 1 where it has none, so that outputs are of one size whatever the units.
p^(1 / T), normalised, is the same with deviations sqrt(T) times as large.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from irl_lens.config.value_types import Deviation
from irl_lens.models.heads.action_head import ActionHead, Losses, Reduction

LOG_DEVIATION = (-5.0, 2.0)
"""Limits of lambda: the likelihood of an expert without noise has no largest value."""
LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)

Outputs = Float[Tensor, "*batch outputs"]
Vector = Float[Tensor, "*batch size"]


class Gaussian(ActionHead):
    """A normal distribution over real vectors.

    Args:
        size: Entries of an action.
        deviation: "constant": trained, but the same at every step; "state": read like the mean.
        low: Smallest value of every entry; -inf if there is none.
        high: Largest value of every entry.
    """

    action_dtype = torch.float32
    log_deviation: nn.Parameter | None

    def __init__(
        self,
        size: int,
        deviation: Deviation = "state",
        low: float = -math.inf,
        high: float = math.inf,
    ) -> None:
        super().__init__()
        self.action_shape = (size,)
        self.outputs = 2 * size if deviation == "state" else size
        constant = nn.Parameter(torch.zeros(size)) if deviation == "constant" else None
        self.register_parameter("log_deviation", constant)
        bounded = math.isfinite(low) and math.isfinite(high)
        self.centre, self.scale = ((low + high) / 2, (high - low) / 2) if bounded else (0.0, 1.0)

    def distribution(self, outputs: Outputs, temperature: float = 1.0) -> tuple[Vector, Vector]:
        """Means and standard deviations, in the units of actions."""
        if self.log_deviation is None:
            mean, log_deviation = outputs.float().chunk(2, dim=-1)
        else:
            mean = outputs.float()
            log_deviation = self.log_deviation.expand_as(mean)
        deviation = log_deviation.clamp(*LOG_DEVIATION).exp() * temperature**0.5
        return self.centre + self.scale * mean, self.scale * deviation

    def nll(self, outputs: Outputs, actions: Vector, reduction: Reduction = "none") -> Losses:
        """-ln of the density at the action [nats]."""
        return reduced(-self.log_prob(outputs, actions), reduction)

    def expected_nll(
        self, outputs: Outputs, policy: Float[Tensor, "*batch twice"], reduction: Reduction = "none"
    ) -> Losses:
        """-ln of the density [nats], averaged over N(m, v) of the expert, ``policy`` = [m, v]."""
        mean, deviation = self.distribution(outputs)
        expert_mean, expert_deviation = policy.chunk(2, dim=-1)
        squares = (expert_mean - mean).square() + expert_deviation.square()
        losses = 0.5 * squares / deviation.square() + deviation.log() + LOG_SQRT_2PI
        return reduced(losses.sum(dim=-1), reduction)

    def log_prob(
        self, outputs: Outputs, actions: Vector, temperature: float = 1.0
    ) -> Float[Tensor, "*batch"]:
        """ln of the density at the action [nats]."""
        return _log_density(actions, *self.distribution(outputs, temperature))

    def noise(
        self, rows: int, generator: torch.Generator | None = None
    ) -> Float[Tensor, "rows size"]:
        """Standard normal."""
        return torch.randn(rows, *self.action_shape, generator=generator)

    def sample(
        self,
        outputs: Float[Tensor, "rows outputs"],
        noise: Float[Tensor, "rows size"],
        temperature: float = 1.0,
    ) -> tuple[Float[Tensor, "rows size"], Float[Tensor, " rows"]]:
        """Mean and deviation times noise; may lie beyond the limits."""
        mean, deviation = self.distribution(outputs, temperature)
        actions = mean + deviation * noise
        return actions, _log_density(actions, mean, deviation)

    def mode(self, outputs: Outputs) -> Vector:
        """The mean."""
        return self.distribution(outputs)[0]

    def entropy(self, outputs: Outputs, temperature: float = 1.0) -> Float[Tensor, "*batch"]:
        """Differential entropy [nats]."""
        _, deviation = self.distribution(outputs, temperature)
        return (deviation.log() + LOG_SQRT_2PI + 0.5).sum(dim=-1)

    def kl(
        self, outputs: Outputs, others: Outputs, temperature: float = 1.0
    ) -> Float[Tensor, "*batch"]:
        """KL(p || q) [nats], of both to the power 1 / temperature."""
        mean, deviation = self.distribution(outputs, temperature)
        other_mean, other_deviation = self.distribution(others, temperature)
        ratio = (deviation / other_deviation).square()
        distance = ((mean - other_mean) / other_deviation).square()
        return 0.5 * (ratio + distance - 1 - ratio.log()).sum(dim=-1)

    def policy(self, outputs: Outputs, temperature: float = 1.0) -> Float[Tensor, "*batch twice"]:
        """Means and then standard deviations."""
        return torch.cat(self.distribution(outputs, temperature), dim=-1)


def _log_density(actions: Vector, mean: Vector, deviation: Vector) -> Float[Tensor, "*batch"]:
    terms = 0.5 * ((actions - mean) / deviation).square() + deviation.log() + LOG_SQRT_2PI
    return -terms.sum(dim=-1)


def reduced(losses: Tensor, reduction: Reduction) -> Losses:
    """Returns losses as asked for."""
    return losses if reduction == "none" else getattr(losses, reduction)()
