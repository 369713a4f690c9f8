"""What the unembedding's outputs mean: a distribution over actions, whatever an action is.

The last map of a base gives ``parameters`` of a distribution p(a | o_1..t) at every step. All
that is done with actions, losses, drawing, entropies, goes through its head, so that no other
module knows whether actions are numbers of a list or real vectors.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

Reduction = Literal["none", "sum", "mean"]
"""What is returned of the losses of many steps, as in ``torch.nn.functional``."""
Outputs = Float[Tensor, "*batch outputs"]
"""Outputs of the unembedding."""
Actions = Shaped[Tensor, "*batch _"]
"""Integers ``[*batch]`` or real vectors ``[*batch, size]``."""
Policy = Float[Tensor, "*batch _"]
"""A distribution as worlds give it: probabilities, or means and then deviations."""
Losses = Float[Tensor, "*losses"]
"""Losses, one a step ``[*batch]``, or one number if they are reduced."""


class ActionHead(nn.Module, ABC):
    """Reads the outputs of the unembedding as a distribution over actions.

    Attributes:
        outputs: Number of outputs that it reads.
        action_shape: Shape of one action.
        action_dtype: Type of actions.
    """

    outputs: int
    action_shape: tuple[int, ...]
    action_dtype: torch.dtype

    @abstractmethod
    def nll(self, outputs: Outputs, actions: Actions, reduction: Reduction = "none") -> Losses:
        """-ln p(action) [nats]."""

    @abstractmethod
    def expected_nll(
        self, outputs: Outputs, policy: Policy, reduction: Reduction = "none"
    ) -> Losses:
        """-ln p(action) [nats], averaged over the actions that ``policy`` might have drawn."""

    @abstractmethod
    def log_prob(
        self, outputs: Outputs, actions: Actions, temperature: float = 1.0
    ) -> Float[Tensor, "*batch"]:
        """ln of p(action)^(1 / temperature), normalised [nats]."""

    @abstractmethod
    def noise(self, rows: int, generator: torch.Generator | None = None) -> Tensor:
        """What :meth:`sample` makes actions of, one a row; drawn on the CPU."""

    @abstractmethod
    def sample(
        self, outputs: Float[Tensor, "rows outputs"], noise: Tensor, temperature: float = 1.0
    ) -> tuple[Actions, Float[Tensor, " rows"]]:
        """Draws an action a row.

        Args:
            outputs: Outputs of the unembedding.
            noise: See :meth:`noise`.
            temperature: Draws from p^(1 / temperature), normalised.

        Returns:
            The actions and their log-probabilities [nats], see :meth:`log_prob`.
        """

    @abstractmethod
    def mode(self, outputs: Outputs) -> Actions:
        """The most probable action."""

    @abstractmethod
    def entropy(self, outputs: Outputs, temperature: float = 1.0) -> Float[Tensor, "*batch"]:
        """Entropy [nats] of p^(1 / temperature), normalised."""

    @abstractmethod
    def kl(self, outputs: Outputs, others: Outputs) -> Float[Tensor, "*batch"]:
        """KL(p || q) [nats], with ``outputs`` of p and ``others`` of q."""

    @abstractmethod
    def policy(self, outputs: Outputs, temperature: float = 1.0) -> Policy:
        """The distribution p^(1 / temperature), in the form in which worlds give the expert's."""
