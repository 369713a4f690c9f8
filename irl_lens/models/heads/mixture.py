"""Continuous actions where several ways part: a mixture of normal distributions.

    p(a) = sum_k w_k N(a; m_k, s_k^2)     w = softmax of as many outputs as there are components

with the means and deviations of :mod:`irl_lens.models.heads.gaussian`. One normal distribution
about the average of what two goals want is what neither wants; of a mixture, what is drawn is one
of them. (The paper, arXiv 2512.20605, has one component.)

Some expectations over mixtures have no closed form. With C_k the one for component k alone,

    E_q[-ln p(a)] <= -ln sum_k w_k exp(-C_k),   C_k = E_q[-ln N_k(a)]     q one normal distribution

(Jensen's inequality; equal where one component explains all that q draws, or all are alike), and

    KL(p || q) ~ sum_i w_i ln( sum_j w_j exp(-KL(i || j)) / sum_j v_j exp(-KL(i || q_j)) )
    H(p) ~ sum_i w_i (H_i - ln sum_j w_j exp(-KL(i || j)))

are the variational approximations of Hershey and Olsen (2007). At a temperature T weights and
components are each taken to the power 1 / T and normalised, which is p^(1 / T) where components
do not overlap. All are exact for one component.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from irl_lens.config.value_types import Deviation
from irl_lens.models.heads.action_head import ActionHead, Losses, Reduction
from irl_lens.models.heads.gaussian import Gaussian, Outputs, Vector, reduced

Components = Float[Tensor, "*batch components"]


class Mixture(ActionHead):
    """A mixture of normal distributions over real vectors.

    Args:
        components: How many there are.
        size: Entries of an action.
        deviation: What deviations depend on, see :class:`irl_lens.models.heads.gaussian.Gaussian`.
        low: Smallest value of every entry; -inf if there is none.
        high: Largest value of every entry.
    """

    action_dtype = torch.float32

    def __init__(
        self,
        components: int,
        size: int,
        deviation: Deviation = "state",
        low: float = -math.inf,
        high: float = math.inf,
    ) -> None:
        super().__init__()
        self.action_shape, self._components = (size,), components
        self.component: Gaussian = Gaussian(size, deviation, low, high)
        self.outputs = components * (1 + self.component.outputs)

    def parts(
        self, outputs: Outputs, temperature: float = 1.0
    ) -> tuple[Components, Float[Tensor, "*batch components each"]]:
        """Logarithms of the weights, and the outputs of each component."""
        weights, rest = outputs.float().tensor_split([self._components], dim=-1)
        log_weights = (weights / temperature).log_softmax(dim=-1)
        return log_weights, rest.unflatten(-1, (self._components, self.component.outputs))

    def nll(self, outputs: Outputs, actions: Vector, reduction: Reduction = "none") -> Losses:
        """-ln of the density at the action [nats]."""
        return reduced(-self.log_prob(outputs, actions), reduction)

    def expected_nll(
        self, outputs: Outputs, policy: Float[Tensor, "*batch twice"], reduction: Reduction = "none"
    ) -> Losses:
        """At least -ln of the density [nats], averaged over N(m, v) of ``policy`` = [m, v]."""
        log_weights, parts = self.parts(outputs)
        each = self.component.expected_nll(parts, _for_each(policy, parts))
        return reduced(-(log_weights - each).logsumexp(dim=-1), reduction)

    def log_prob(
        self, outputs: Outputs, actions: Vector, temperature: float = 1.0
    ) -> Float[Tensor, "*batch"]:
        """ln of the density at the action [nats]."""
        log_weights, parts = self.parts(outputs, temperature)
        each = self.component.log_prob(parts, _for_each(actions, parts), temperature)
        return (log_weights + each).logsumexp(dim=-1)

    def noise(
        self, rows: int, generator: torch.Generator | None = None
    ) -> Float[Tensor, "rows numbers"]:
        """Uniform from 0 to 1, which chooses the component; then standard normal."""
        chooses = torch.rand(rows, 1, generator=generator)
        return torch.cat([chooses, self.component.noise(rows, generator)], dim=1)

    def sample(
        self,
        outputs: Float[Tensor, "rows outputs"],
        noise: Float[Tensor, "rows numbers"],
        temperature: float = 1.0,
    ) -> tuple[Float[Tensor, "rows size"], Float[Tensor, " rows"]]:
        """A component by its weight, and what it draws; may lie beyond the limits."""
        log_weights, parts = self.parts(outputs, temperature)
        chosen = (log_weights.exp().cumsum(dim=-1)[:, :-1] <= noise[:, :1]).sum(dim=-1)
        actions, _ = self.component.sample(_of(parts, chosen), noise[:, 1:], temperature)
        return actions, self.log_prob(outputs, actions, temperature)

    def mode(self, outputs: Outputs) -> Vector:
        """The mean of the heaviest component."""
        log_weights, parts = self.parts(outputs)
        return self.component.mode(_of(parts, log_weights.argmax(dim=-1)))

    def entropy(self, outputs: Outputs, temperature: float = 1.0) -> Float[Tensor, "*batch"]:
        """Differential entropy [nats], nearly: see the module."""
        log_weights, parts = self.parts(outputs, temperature)
        near = self._near(parts, log_weights, parts, temperature)
        each = self.component.entropy(parts, temperature)
        return (log_weights.exp() * (each - near)).sum(dim=-1)

    def kl(self, outputs: Outputs, others: Outputs) -> Float[Tensor, "*batch"]:
        """KL(p || q) [nats], nearly: see the module."""
        log_weights, parts = self.parts(outputs)
        own = self._near(parts, log_weights, parts)
        return (log_weights.exp() * (own - self._near(parts, *self.parts(others)))).sum(dim=-1)

    def policy(self, outputs: Outputs, temperature: float = 1.0) -> Float[Tensor, "*batch twice"]:
        """Means and then standard deviations of the whole."""
        log_weights, parts = self.parts(outputs, temperature)
        weights = log_weights.exp()[..., None]
        means, deviations = self.component.distribution(parts, temperature)
        mean = (weights * means).sum(dim=-2)
        spread = (means - mean[..., None, :]).square() + deviations.square()
        return torch.cat([mean, (weights * spread).sum(dim=-2).sqrt()], dim=-1)

    def _near(
        self,
        parts: Float[Tensor, "*batch components each"],
        log_weights: Components,
        others: Float[Tensor, "*batch components each"],
        temperature: float = 1.0,
    ) -> Components:
        """ln sum_j w_j exp(-KL(i || j)) for each component i, over the components j of another."""
        one, other = parts[..., :, None, :], others[..., None, :, :]
        one, other = torch.broadcast_tensors(one, other)
        apart = self.component.kl(one, other, temperature)
        return (log_weights[..., None, :] - apart).logsumexp(dim=-1)


def _for_each(values: Tensor, parts: Tensor) -> Tensor:
    """The same values for every component."""
    return values[..., None, :].expand(*parts.shape[:-1], values.shape[-1])


def _of(parts: Tensor, chosen: Tensor) -> Tensor:
    """The outputs of one component a row."""
    index = chosen[..., None, None].expand(*chosen.shape, 1, parts.shape[-1])
    return parts.gather(-2, index).squeeze(-2)
