"""How well clusters of codes tell the subgoal: purity and information of counts, and their null.

See :mod:`irl_lens.analyses.codes.clusters` for the equations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from irl_lens.analyses.core.switch_codes import SwitchCodes
from irl_lens.analyses.stats.estimates import Estimate
from irl_lens.arrays import NDArray

Numbers = Int[NDArray[np.int64], " codes"]
Tables = Float[NDArray[np.float64], "... clusters subgoals"]
Measure = Callable[[Tables], Float[NDArray[np.float64], "..."]]


@dataclass(frozen=True)
class Score:
    """A score of the clusters against its null.

    Attributes:
        value: On all codes; 95 % over resampled episodes.
        null: Mean and central 95 % of the draws.
        p: Share of draws, the observed one among them, that score at least as much.
    """

    value: Estimate
    null: Estimate
    p: float


def purity(tables: Tables) -> Float[NDArray[np.float64], ...]:
    """Share of codes that are of their cluster's commonest subgoal."""
    return np.asarray(tables.max(axis=-1).sum(axis=-1) / tables.sum(axis=(-2, -1)))


def mutual_information(tables: Tables) -> Float[NDArray[np.float64], ...]:
    """Mutual information of cluster and subgoal, from counts [bits]."""
    joint = tables / tables.sum(axis=(-2, -1), keepdims=True)
    apart = joint.sum(axis=-1, keepdims=True) * joint.sum(axis=-2, keepdims=True)
    logs = np.log2(np.where(joint > 0, joint, 1) / np.where(joint > 0, apart, 1))
    return np.asarray((joint * logs).sum(axis=(-2, -1)))


def score_against_null(
    measure: Measure, observed: Tables, resampled: Tables, null: Tables
) -> Score:
    """Scores counts, with an interval from resampled episodes and a p-value from the null."""
    value, draws = float(measure(observed)), measure(null)
    low, high = np.quantile(measure(resampled), (0.025, 0.975)).tolist()
    central = Estimate(float(draws.mean()), *np.quantile(draws, (0.025, 0.975)).tolist())
    # The same table counts as equal whatever the order in which it was added up.
    p = (1 + int((draws >= value - 1e-12).sum())) / (1 + len(draws))
    return Score(Estimate(value, low, high), central, p)


def count_by_episode(
    harvest: SwitchCodes, found: Numbers, labels: Numbers, shape: tuple[int, int]
) -> Float[NDArray[np.float64], "episodes clusters subgoals"]:
    """Counts each episode's codes by cluster and subgoal."""
    episodes = np.unique(harvest.episodes, return_inverse=True)[1]
    tables = np.zeros((int(episodes.max()) + 1, *shape))
    np.add.at(tables, (episodes, found, labels), 1)
    return tables


def count_all(found: Numbers, labels: Numbers, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Counts all codes by cluster and subgoal."""
    flat = np.bincount(found * shape[1] + labels, minlength=shape[0] * shape[1])
    return flat.reshape(shape).astype(np.float64)


def ordinals(episodes: Numbers) -> Numbers:
    """How many codes of the same episode come before each; episodes are in one piece."""
    starts = np.flatnonzero(np.diff(episodes, prepend=-1))
    return np.arange(len(episodes)) - np.repeat(starts, np.diff(np.append(starts, len(episodes))))


def exchanged(labels: Numbers, order: Numbers, rng: np.random.Generator) -> Numbers:
    """Permutes labels among codes that are equally many switches from the start."""
    ranks = np.argsort(order, kind="stable")
    mixed = np.lexsort((rng.random(len(order)), order))
    result = np.empty_like(labels)
    result[ranks] = labels[mixed]
    return result
