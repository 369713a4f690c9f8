"""One source of beliefs, scored step by step, and single episodes as it sees them.

See :mod:`irl_lens.analyses.belief.belief_over_time`, which compares sources.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from irl_lens.analyses.belief.calibrated_belief import Probs, Reader, compare, true_probability
from irl_lens.analyses.core.labels import labels_of
from irl_lens.analyses.stats.estimates import Estimate, mean
from irl_lens.analyses.stats.significance import bootstrap_ci, permutation_pvalue
from irl_lens.arrays import NDArray
from irl_lens.envs.trajectories import Trajectories

EXAMPLES = 3
"""Episodes that are shown."""
REACHED = 0.1
"""Share of the episodes that must reach a step for it to be drawn."""


@dataclass(frozen=True)
class Source:
    """One source of beliefs.

    Attributes:
        name: Trained model, shuffled labels, random weights, or the exact filter.
        layer: Its output is read; 0 is the embedding. -1 for the filter.
        reader: Its scores over all steps.
        given: Mean probability of the truth at each step: value, low and high.
        right: How often the likeliest label is the true one, the same.
        rise: Probability of the truth in an episode's last third less that in its first.
        p: p-value of the rise, by exchanging the two within episodes; adjusted for all layers.
    """

    name: str
    layer: int
    reader: Reader
    given: Float[NDArray[np.float64], "3 steps"]
    right: Float[NDArray[np.float64], "3 steps"]
    rise: Estimate
    p: float


@dataclass(frozen=True)
class Example:
    """One episode as the best layer's probe and the filter see it.

    Attributes:
        truth: The true label of each step.
        probe: Probability of every label.
        exact: The filter's.
    """

    truth: Int[NDArray[np.int64], " steps"]
    probe: Float[NDArray[np.float64], "steps classes"]
    exact: Float[NDArray[np.float64], "steps classes"]


def source(
    name: str, layer: int, probs: Probs, exact: Probs, test: Trajectories, target: str
) -> Source:
    """Scores one source's probabilities, over all steps and step by step."""
    labels, mask = labels_of(test, target), test.mask
    given, right = true_probability(probs, labels), probs.argmax(axis=2) == labels
    drawn = np.flatnonzero(mask.mean(axis=0) >= REACHED)
    by_step = [
        np.array([_estimate(values[mask[:, t], t]) for t in drawn]).T for values in (given, right)
    ]
    first, last = (_third(given, mask, part) for part in (0, 2))
    return Source(
        name,
        layer,
        compare(name, probs, exact, test, target),
        by_step[0],
        by_step[1],
        bootstrap_ci(last - first),
        permutation_pvalue(last, first),
    )


def _third(
    values: Float[NDArray[np.floating], "n steps"], mask: NDArray[np.bool_], part: int
) -> Float[NDArray[np.float64], " n"]:
    """Mean over one third of each episode's steps: 0 the first, 2 the last."""
    lengths, steps = mask.sum(axis=1, keepdims=True), np.arange(mask.shape[1])
    counted = mask & (3 * steps // np.maximum(lengths, 1) == part)
    # An episode of one or two steps has no last third: its last step stands for it.
    counted |= (counted.sum(axis=1, keepdims=True) == 0) & (steps == lengths - 1)
    return np.where(counted, values, 0).sum(axis=1) / counted.sum(axis=1)


def _estimate(values: NDArray) -> tuple[float, float, float]:
    e = mean(values)
    return e.value, e.low, e.high


def middle_episodes(test: Trajectories) -> Sequence[int]:
    order = np.argsort(test.lengths, kind="stable")
    start = max(0, (len(order) - EXAMPLES) // 2)
    return order[start : start + EXAMPLES].tolist()


def example_of(probs: Probs, exact: Probs, test: Trajectories, target: str, row: int) -> Example:
    steps = int(test.lengths[row])
    return Example(
        labels_of(test, target)[row, :steps],
        probs[row, :steps].astype(np.float64),
        exact[row, :steps].astype(np.float64),
    )
