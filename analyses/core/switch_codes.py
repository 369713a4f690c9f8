"""Codes taken from demonstrations, where the gate opens, with the subgoal they stood for.

c_g = mean of z_t over switches t with subgoal g
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from irl_lens.arrays import NDArray
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import UserError
from irl_lens.models.trace import MetaTrace

Codes = Float[NDArray[np.floating], "codes latent"]
Centroids = Float[NDArray[np.floating], "subgoals latent"]
Labels = Int[NDArray[np.int64], " codes"]


@dataclass(frozen=True)
class SwitchCodes:
    """Codes at switches, the first step of each episode included.

    Attributes:
        codes: The codes.
        labels: The abstract subgoal pursued then.
        episodes: Which demonstration each is of.
    """

    codes: Float[NDArray[np.float32], "codes latent"]
    labels: Int[NDArray[np.int64], " codes"]
    episodes: Int[NDArray[np.int64], " codes"]

    @classmethod
    def of(cls, trace: MetaTrace, trajectories: Trajectories) -> SwitchCodes:
        """Takes the codes of demonstrations."""
        marks = trace.switches
        return cls(trace.z[marks], trajectories.require("subgoals")[marks], np.nonzero(marks)[0])

    def __len__(self) -> int:
        return len(self.labels)

    def draw(
        self, n: int, rng: np.random.Generator, label: int | None = None
    ) -> Int[NDArray[np.int64], " n"]:
        """Draws the numbers of ``n`` codes, of one subgoal if it is given.

        Raises:
            UserError: No code is of that subgoal.
        """
        found = np.arange(len(self)) if label is None else np.flatnonzero(self.labels == label)
        if not len(found):
            raise UserError(f"no code of subgoal {label} among {len(self)}; encode more episodes")
        return rng.choice(found, n)

    def take(self, index: Int[NDArray[np.int64], "*shape"]) -> Float[Tensor, "*shape latent"]:
        """Returns codes by their numbers."""
        return torch.from_numpy(self.codes[index])


def class_means(codes: Codes, labels: Labels, classes: int) -> Centroids:
    """Returns the mean of each class; NaN for a class without members."""
    counts = np.bincount(labels, minlength=classes)[:, None]
    sums = np.zeros((classes, codes.shape[1]))
    np.add.at(sums, labels, codes)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def nearest(codes: Codes, centroids: Centroids) -> Labels:
    """Returns the nearest centroid of each code (Euclidean); never one that is NaN."""
    distances = np.square(codes[:, None] - centroids).sum(axis=2)
    return np.where(np.isnan(distances), np.inf, distances).argmin(axis=1)


def commonest(labels: Labels) -> float:
    """Returns the share of the most frequent label: what always guessing it would reach."""
    return float(np.bincount(labels).max() / len(labels))
