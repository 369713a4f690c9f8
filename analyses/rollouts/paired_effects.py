"""What a patch does to where agents go: runs with and without it, the same boards and noise.

    effect = share that reach the wanted subgoal next, patched - clean
    shift  = total variation, 1/2 sum over cells of |share of time patched - share of time clean|

over what comes after the patched step; pairs of episodes are the unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import nan

import numpy as np
from jaxtyping import Bool, Int

from irl_lens.analyses.rollouts.taskless import Course
from irl_lens.analyses.stats.estimates import Estimate, proportion
from irl_lens.analyses.stats.significance import bootstrap_ci, holm, permutation_pvalue
from irl_lens.arrays import NDArray

Steps = Int[NDArray[np.int64], " n"]
Rows = Bool[NDArray[np.bool_], " n"]


@dataclass(frozen=True)
class Effect:
    """A patch against none.

    Attributes:
        episodes: Pairs.
        clean: Share that reach the wanted subgoal next, without the patch.
        patched: The same with it.
        effect: The difference.
        p: p-value of the difference, by exchanging patched and clean within pairs; adjusted by what
            compares several patches.
        sooner: Steps to the next subgoal, patched - clean, where both reach the same one.
        shift: Total variation of the cells visited.
        changed: Share of episodes whose path changed at all.
    """

    episodes: int
    clean: Estimate
    patched: Estimate
    effect: Estimate
    p: float
    sooner: Estimate
    shift: Estimate
    changed: Estimate

    def columns(self) -> dict[str, float]:
        """Returns all numbers as columns of a table."""
        columns: dict[str, float] = {"episodes": self.episodes, "p": self.p}
        for name in ("clean", "patched", "effect", "sooner", "shift", "changed"):
            columns |= getattr(self, name).columns(name)
        return columns


def compare(
    clean: Course, patched: Course, since: Steps, wanted: Steps, rows: Rows, seed: int = 0
) -> Effect:
    """Compares paired runs.

    Args:
        clean: Without the patch.
        patched: With it.
        since: Steps taken before the patch.
        wanted: The subgoal that it should lead to.
        rows: Pairs to count.
        seed: Seed of the resampling.
    """
    courses = clean, patched
    (one, one_at), (two, two_at) = (next_reached(course, since) for course in courses)
    hit, patched_hit = ((x == wanted)[rows] for x in (one, two))
    apart = np.where((one == two) & (one >= 0), two_at - one_at, np.nan)[rows]
    shares = [course.occupancy(since) for course in courses]
    shift = 0.5 * np.abs(shares[1] - shares[0]).sum(axis=1)[rows]
    difference = patched_hit.astype(np.float64) - hit
    return Effect(
        int(rows.sum()),
        proportion(hit),
        proportion(patched_hit),
        bootstrap_ci(difference, seed),
        permutation_pvalue(patched_hit, hit, seed=seed) if rows.sum() > 1 else nan,
        bootstrap_ci(apart, seed),
        bootstrap_ci(shift, seed),
        proportion(differs(clean, patched)[rows]),
    )


def adjusted(effects: Sequence[Effect]) -> list[Effect]:
    """Returns the same with p-values adjusted for there being several patches (Holm)."""
    found = holm([effect.p for effect in effects])
    return [replace(effect, p=p) for effect, p in zip(effects, found, strict=True)]


def next_reached(course: Course, since: Steps) -> tuple[Steps, Steps]:
    """The subgoal first reached after ``since`` steps, and when; -1 where there is none."""
    later = (course.reached >= 0) & (course.at > since[:, None])
    first, rows = later.argmax(axis=1), np.arange(len(later))
    found = later.any(axis=1)
    which = (course.reached[rows, first], course.at[rows, first])
    return np.where(found, which[0], -1), np.where(found, which[1], -1)


def differs(one: Course, other: Course) -> Rows:
    """Marks the episodes whose paths are not the same, to the bit."""
    steps = min(one.trail.shape[1], other.trail.shape[1])
    trails = one.trail[:, :steps], other.trail[:, :steps]
    same = (trails[0] == trails[1]) | (np.isnan(trails[0]) & np.isnan(trails[1]))
    return ~same.all(axis=(1, 2)) | (one.lengths != other.lengths)
