"""A Gaussian policy without memory, and its critic, of a body that is seen in several views.

    mean = sum_v w_v P_v actor(view v),   value = sum_v w_v critic(view v)

with the weights w_v that come with the views, and the order P_v in which a view counts the numbers
of an action. So a policy has whatever symmetry the views have (:mod:`irl_lens.envs.practice`).
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

WIDTH = 128
LOG_STD, HIGHEST = -0.7, 0.0
"""The log of the deviation at the start, and its upper limit."""


class ActorCritic(nn.Module):
    """Two perceptrons, and one deviation for each number of an action.

    Args:
        columns: Numbers observed in a view.
        views: Which number of each view's action is which of the action.
        width: Of both hidden layers.
    """

    views: Tensor

    def __init__(self, columns: int, views: Int[Tensor, "views size"], width: int = WIDTH) -> None:
        super().__init__()
        size = views.shape[1]
        self.register_buffer("views", views, persistent=False)
        # Small at first: an untrained policy is to try out everything alike.
        self.actor = _perceptron(columns, width, size, 0.01)
        self.critic = _perceptron(columns, width, 1, 1.0)
        self.log_std = nn.Parameter(torch.full((size,), LOG_STD))

    def mean(self, seen: Float[Tensor, "*n views columns"]) -> Float[Tensor, "*n size"]:
        """What the policy means to do."""
        meant = self.actor(seen[..., 1:])
        meant = meant.gather(-1, self.views.expand_as(meant))
        return (seen[..., :1] * meant).sum(-2)

    def values(self, seen: Float[Tensor, "*n views columns"]) -> Float[Tensor, "*n"]:
        """What the critic expects of the discounted rewards to come."""
        return (seen[..., 0] * self.critic(seen[..., 1:])[..., 0]).sum(-1)

    def log_prob(
        self, seen: Float[Tensor, "*n views columns"], actions: Float[Tensor, "*n size"]
    ) -> Float[Tensor, "*n"]:
        """Log-probability density of actions [nats]."""
        return log_density(actions, self.mean(seen), self.log_std)

    @torch.no_grad()
    def clamp(self, least: float) -> None:
        """Keeps the deviations within their limits.

        Args:
            least: The lower one.
        """
        self.log_std.clamp_(math.log(least), HIGHEST)


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
