"""Directions of probes and of controllers, and how near they are; for probe_directions.

    overlap |diag(s) V p| / |s|,    p-value of a cosine: cos^2 ~ Beta(1/2, (d - 1) / 2)

for a direction that has nothing to do with the other, in d dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import stats
from torch import Tensor
from torch.nn import functional as F

from irl_lens.analyses.core.demonstrations import pieces
from irl_lens.analyses.core.linear_probe import fit_probe, layer_streams, shuffled_labels
from irl_lens.analyses.stats.estimates import ratio
from irl_lens.arrays import NDArray
from irl_lens.envs.trajectories import Trajectories
from irl_lens.hooks import ControllerBank
from irl_lens.models.fast import FastPath

GROUPS = 8
"""Groups of episodes that are left out in turn."""
Table = Float[NDArray[np.float64], "controllers classes"]
Directions = Float[Tensor, "classes d_model"]


@dataclass(frozen=True)
class Pushed:
    """Directions in which controllers change the stream, summed over an episode's steps.

    Attributes:
        total: Sum of U e / |U e| of every episode and controller.
        steps: Number of steps of each episode.
    """

    total: Float[Tensor, "n controllers d_model"]
    steps: Int[NDArray[np.int64], " n"]

    @classmethod
    @torch.no_grad()
    def of(cls, base: FastPath, bank: ControllerBank, layer: int, shown: Trajectories) -> Pushed:
        """Lets each controller act at every step of demonstrations, whatever is pursued."""
        total = torch.zeros(len(shown), len(bank), bank.stack.d_model, device=base.device)
        for index, piece in pieces(shown):
            (stream,) = layer_streams(base, piece, (layer,))
            kept = base.tensor(piece.mask)[..., None]
            for g, controller in enumerate(bank.values()):
                change = F.normalize(controller.delta(stream), dim=-1)
                total[base.tensor(index), g] = (change * kept).sum(dim=1)
        return cls(total, shown.lengths)

    def along(self, directions: Directions) -> Float[NDArray[np.float64], "3 controllers classes"]:
        """Mean cosine with each direction: value, low and high."""
        sums = (self.total @ directions.T).double().cpu().numpy()
        cells = [
            [ratio(sums[:, g, c], self.steps) for c in range(len(directions))]
            for g in range(sums.shape[1])
        ]
        return np.array([[(e.value, e.low, e.high) for e in row] for row in cells]).transpose(
            2, 0, 1
        )

    def sizes(self) -> Float[NDArray[np.float64], " controllers"]:
        """Length of each controller's mean direction: 1 if it always pushes the same way."""
        return self.total.sum(dim=0).norm(dim=-1).double().cpu().numpy() / self.steps.sum()


@dataclass(frozen=True)
class Fitting:
    """What probes are fitted on.

    Attributes:
        stream: One row a step.
        labels: Label of each step.
        groups: Group of episodes that each step is left out with.
        classes: Number of labels.
        iterations: Most L-BFGS iterations a probe.
    """

    stream: Float[Tensor, "tokens d_model"]
    labels: Int[Tensor, " tokens"]
    groups: Int[Tensor, " tokens"]
    classes: int
    iterations: int

    def directions(self, without: int | None = None, shuffled: int | None = None) -> Directions:
        """Fits a probe and returns its classes' directions.

        Args:
            without: A group to leave out.
            shuffled: Seed to shuffle the labels with.
        """
        y = self.labels if shuffled is None else shuffled_labels(self.labels, shuffled)
        kept = torch.ones_like(y, dtype=torch.bool) if without is None else self.groups != without
        weight = fit_probe(self.stream[kept], y[kept], self.classes, self.iterations).weight
        return F.normalize(weight - weight.mean(dim=0), dim=1)


def overlaps(
    values: Float[Tensor, "controllers k"],
    vectors: Float[Tensor, "controllers k d_model"],
    directions: Float[Tensor, "m d_model"],
) -> Float[NDArray[np.float64], "controllers m"]:
    """Rms cosine of each direction with singular vectors, weighted by s^2; 0 for a zero U."""
    weighted = values[..., None] * (vectors @ directions.T)
    size = values.norm(dim=-1, keepdim=True)
    return (weighted.norm(dim=1) / torch.where(size > 0, size, 1)).detach().double().cpu().numpy()


def random_pvalue(
    cosine: Float[NDArray[np.float64], "*shape"], width: int
) -> Float[NDArray[np.float64], "*shape"]:
    """Probability that |cos| with a random direction is as large: cos^2 ~ Beta(1/2, (d - 1)/2)."""
    return stats.beta.sf(np.square(np.clip(cosine, -1, 1)), 0.5, (width - 1) / 2)


def jackknife(
    value: Table, left_out: Float[NDArray[np.float64], "groups controllers classes"]
) -> Float[NDArray[np.float64], "3 controllers classes"]:
    """Value and 95 % interval from what it is without each group of episodes (Student's t).

    se^2 = (K - 1) / K sum_k (value_k - mean)^2
    """
    count = len(left_out)
    error = np.sqrt((count - 1) * left_out.var(axis=0))
    spread = stats.t.ppf(0.975, count - 1) * error
    return np.stack([value, value - spread, value + spread])


def groups_of(fit: Trajectories) -> Int[Tensor, " tokens"]:
    """The group of each valid step's episode, in the order of ``pieces``."""
    parts = [np.repeat(index % GROUPS, piece.lengths) for index, piece in pieces(fit)]
    return torch.from_numpy(np.concatenate(parts))
