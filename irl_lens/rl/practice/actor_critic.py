"""A Gaussian policy without memory, and its critic."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

WIDTH = 128
LOG_STD, LOWEST, HIGHEST = -0.7, -2.5, 0.0
"""The log of the deviation at the start, and its limits."""


class ActorCritic(nn.Module):
    """Two perceptrons, and one deviation for each number of an action.

    Args:
        columns: Numbers observed.
        size: Numbers of an action.
        width: Of both hidden layers.
    """

    def __init__(self, columns: int, size: int, width: int = WIDTH) -> None:
        super().__init__()
        # Small at first: an untrained policy is to try out everything alike.
        self.actor = _perceptron(columns, width, size, 0.01)
        self.critic = _perceptron(columns, width, 1, 1.0)
        self.log_std = nn.Parameter(torch.full((size,), LOG_STD))

    def values(self, seen: Float[Tensor, "*n columns"]) -> Float[Tensor, "*n"]:
        """What the critic expects of the discounted rewards to come."""
        return self.critic(seen)[..., 0]

    def log_prob(
        self, seen: Float[Tensor, "*n columns"], actions: Float[Tensor, "*n size"]
    ) -> Float[Tensor, "*n"]:
        """Log-probability density of actions [nats]."""
        return log_density(actions, self.actor(seen), self.log_std)

    @torch.no_grad()
    def clamp(self) -> None:
        """Keeps the deviations within their limits."""
        self.log_std.clamp_(LOWEST, HIGHEST)


def log_density(
    actions: Float[Tensor, "*n size"],
    mean: Float[Tensor, "*n size"],
    log_std: Float[Tensor, " size"],
) -> Float[Tensor, "*n"]:
    """Log-density of a diagonal Gaussian."""
    z = (actions - mean) * (-log_std).exp()
    return -0.5 * (z.square().sum(-1) + mean.shape[-1] * math.log(2 * math.pi)) - log_std.sum()


def _perceptron(columns: int, width: int, size: int, gain: float) -> nn.Sequential:
    layers = [nn.Linear(columns, width), nn.Linear(width, width), nn.Linear(width, size)]
    for layer, scale in zip(layers, (2**0.5, 2**0.5, gain), strict=True):
        nn.init.orthogonal_(layer.weight, scale)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layers[0], nn.ELU(), layers[1], nn.ELU(), layers[2])
