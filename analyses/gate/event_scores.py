"""Switches as segmentations, how late they are, and switches that know nothing.

As detections of boundaries they are counted in :mod:`irl_lens.training.switches`. The first step of
an episode is left out: its switch is forced.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from sklearn.metrics import adjusted_rand_score

from irl_lens.arrays import NDArray
from irl_lens.hooks import circularly_shifted

Marks = Bool[NDArray[np.bool_], "n steps"]
NONE = np.iinfo(np.int64).max
"""Latency of a boundary in an episode without a switch."""


def later(marks: Marks, mask: Marks) -> Marks:
    """Returns the marks on steps that happened, the first step's taken away."""
    kept = marks & mask
    kept[:, 0] = False
    return kept


def rand_index(switches: Marks, boundaries: Marks, mask: Marks) -> Float[NDArray[np.float64], " n"]:
    """Adjusted Rand index of each episode, of the steps' segments by switch and by boundary.

    1 is the same segmentation, 0 what chance gives (Hubert and Arabie, 1985).
    """
    ones, twos = switches.cumsum(axis=1), boundaries.cumsum(axis=1)
    rows = zip(ones, twos, mask, strict=True)
    return np.array([adjusted_rand_score(b[m], a[m]) for a, b, m in rows])


def latencies(switches: Marks, boundaries: Marks) -> Int[NDArray[np.int64], " boundaries"]:
    """Signed steps from every boundary to the nearest switch of its episode, late is positive.

    Of two equally near it is the late one; :data:`NONE` in an episode without a switch.
    """
    steps = np.arange(switches.shape[1])
    before = np.maximum.accumulate(np.where(switches, steps, -NONE // 4), axis=1)
    backwards = np.where(switches, steps, NONE // 4)[:, ::-1]
    after = np.minimum.accumulate(backwards, axis=1)[:, ::-1]
    early, late = before - steps, after - steps
    nearest = np.where(late <= -early, late, early)
    nearest = np.where(switches.any(axis=1, keepdims=True), nearest, NONE)
    return nearest[boundaries]


def poisson(mask: Marks, rate: float, rng: np.random.Generator) -> Marks:
    """Draws switches that know nothing: each step after the first is one with the same chance.

    A Poisson process in discrete time; its number of switches is right on average only.
    """
    return later(rng.random(mask.shape) < rate, mask)


def circular_shift(marks: Marks, mask: Marks, rng: np.random.Generator) -> Marks:
    """Moves each row's marks round its episode, the first step aside, by 1 step or more."""
    lengths = mask.sum(axis=1)
    by = rng.integers(1, np.maximum(lengths - 1, 2))
    counted, lengths, by = map(torch.from_numpy, (marks & mask, lengths, by))
    return circularly_shifted(counted, lengths, by).numpy()
