"""Scores of a gate's switches as a detector of boundaries, each beside its nulls.

See :mod:`irl_lens.analyses.gate.detection`, which draws the nulls and shows the scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from irl_lens.analyses.gate.event_scores import NONE, Marks, rand_index
from irl_lens.analyses.stats.estimates import Estimate, ratio
from irl_lens.analyses.stats.significance import bootstrap_ci, permutation_pvalue
from irl_lens.arrays import NDArray
from irl_lens.training.switches import hits

REACH = 5
"""Latencies beyond so many steps are counted together."""
TOLERANCES = (0, 1)


@dataclass(frozen=True)
class Null:
    """A score under a null.

    Attributes:
        score: Mean, and central 95 % of the draws.
        p: Share of draws, the observed one among them, that score at least as much.
    """

    score: Estimate
    p: float


@dataclass(frozen=True)
class Detection:
    """Scores at one tolerance.

    Attributes:
        tolerance: Steps.
        precision: Share of switches that hit a boundary.
        recall: Share of boundaries that are hit.
        f1: Their harmonic mean.
        nulls: F1 under each null.
    """

    tolerance: int
    precision: Estimate
    recall: Estimate
    f1: Estimate
    nulls: dict[str, Null]


@dataclass(frozen=True)
class Agreement:
    """Agreement of segmentations, mean over episodes.

    Attributes:
        score: Adjusted Rand index of the gate's segments.
        nulls: That of one draw of each null for each episode.
        p: p-value of the difference between the two, paired.
    """

    score: Estimate
    nulls: dict[str, Estimate]
    p: dict[str, float]


def detection(
    fired: Marks, true: Marks, drawn: dict[str, list[Marks]], tolerance: int
) -> Detection:
    """Scores switches at one tolerance."""
    found, n_fired, n_true = hits(fired, true, tolerance), fired.sum(axis=1), true.sum(axis=1)
    observed = ratio(2 * found, n_fired + n_true)
    nulls = {}
    for name, draws in drawn.items():
        scores = np.array([_f1(switches, true, tolerance) for switches in draws])
        central = Estimate(float(scores.mean()), *np.quantile(scores, (0.025, 0.975)).tolist())
        p = (1 + int((scores >= np.nan_to_num(observed.value)).sum())) / (1 + len(scores))
        nulls[name] = Null(central, p)
    precision, recall = ratio(found, n_fired), ratio(found, n_true)
    return Detection(tolerance, precision, recall, observed, nulls)


def _f1(fired: Marks, true: Marks, tolerance: int) -> float:
    return 2 * int(hits(fired, true, tolerance).sum()) / max(int(fired.sum() + true.sum()), 1)


def agreement(
    fired: Marks, true: Marks, drawn: dict[str, Marks], mask: Marks, episodes: int, seed: int
) -> Agreement:
    """Compares the segments that switches and boundaries cut episodes into."""
    some = slice(episodes)
    own = rand_index(fired[some], true[some], mask[some])
    others = {n: rand_index(s[some], true[some], mask[some]) for n, s in drawn.items()}
    return Agreement(
        bootstrap_ci(own, seed),
        {name: bootstrap_ci(values, seed) for name, values in others.items()},
        {name: permutation_pvalue(own, values, seed=seed) for name, values in others.items()},
    )


def latency_shares(
    steps: Int[NDArray[np.int64], " boundaries"],
) -> Float[NDArray[np.float64], " bins"]:
    """Share of boundaries by steps to the nearest switch, the last of those without any."""
    none = steps == NONE
    bins = np.where(none, 2 * REACH + 1, np.clip(steps, -REACH, REACH) + REACH)
    return np.bincount(bins, minlength=2 * REACH + 2) / max(len(steps), 1)
