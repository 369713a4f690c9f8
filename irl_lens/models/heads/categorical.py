"""Discrete actions: outputs are logits x, p(a) = softmax(x)_a."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from irl_lens.models.heads.action_head import ActionHead, Losses, Reduction

Logits = Float[Tensor, "*batch actions"]


class Categorical(ActionHead):
    """A choice among numbered actions.

    Args:
        n: Number of actions.
    """

    action_shape = ()
    action_dtype = torch.int64

    def __init__(self, n: int) -> None:
        super().__init__()
        self.outputs = n

    def log_probs(self, outputs: Logits, temperature: float = 1.0) -> Logits:
        """ln p of every action [nats]."""
        return (outputs.float() / temperature).log_softmax(dim=-1)

    def nll(
        self, outputs: Logits, actions: Int[Tensor, "*batch"], reduction: Reduction = "none"
    ) -> Losses:
        """-ln p(action) [nats]."""
        losses = F.cross_entropy(
            outputs.float().flatten(0, -2), actions.flatten(), reduction=reduction
        )
        return losses.view_as(actions) if reduction == "none" else losses

    def expected_nll(
        self, outputs: Logits, policy: Logits, reduction: Reduction = "none"
    ) -> Losses:
        """- sum_a policy(a) ln p(a) [nats]."""
        logits = outputs.float().flatten(0, -2)
        losses = F.cross_entropy(logits, policy.flatten(0, -2), reduction=reduction)
        return losses.view(policy.shape[:-1]) if reduction == "none" else losses

    def log_prob(
        self, outputs: Logits, actions: Int[Tensor, "*batch"], temperature: float = 1.0
    ) -> Float[Tensor, "*batch"]:
        """ln p(action) [nats]."""
        return _taken(self.log_probs(outputs, temperature), actions)

    def noise(self, rows: int, generator: torch.Generator | None = None) -> Float[Tensor, " rows"]:
        """Uniform from 0 to 1."""
        return torch.rand(rows, generator=generator)

    def sample(
        self,
        outputs: Float[Tensor, "rows actions"],
        noise: Float[Tensor, " rows"],
        temperature: float = 1.0,
    ) -> tuple[Int[Tensor, " rows"], Float[Tensor, " rows"]]:
        """Inverts the cumulative distribution at the noise."""
        log_probs = self.log_probs(outputs, temperature)
        bounds = log_probs.exp().cumsum(dim=-1)[:, :-1]
        actions = (bounds <= noise[:, None]).sum(dim=-1)
        return actions, _taken(log_probs, actions)

    def mode(self, outputs: Logits) -> Int[Tensor, "*batch"]:
        """The most probable action."""
        return outputs.argmax(dim=-1)

    def entropy(self, outputs: Logits, temperature: float = 1.0) -> Float[Tensor, "*batch"]:
        """- sum_a p(a) ln p(a) [nats]."""
        log_probs = self.log_probs(outputs, temperature)
        return -(log_probs.exp() * log_probs).sum(dim=-1)

    def kl(self, outputs: Logits, others: Logits) -> Float[Tensor, "*batch"]:
        """sum_a p(a) ln(p(a) / q(a)) [nats]."""
        log_p, log_q = self.log_probs(outputs), self.log_probs(others)
        return (log_p.exp() * (log_p - log_q)).sum(dim=-1)

    def policy(self, outputs: Logits, temperature: float = 1.0) -> Logits:
        """The probability of every action."""
        return (outputs.float() / temperature).softmax(dim=-1)


def _taken(log_probs: Logits, actions: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    return log_probs.gather(-1, actions[..., None])[..., 0]
