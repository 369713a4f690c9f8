"""How well the gate's switches are the boundaries between true abstract subgoals.

Precision, recall and F1 with tolerance 0 and 1, agreement of segmentations (adjusted Rand
index), how late switches are, and how many gates are neither open nor shut. Two nulls know how
often to switch and not when: each episode's switches moved round it, which keeps their
spacing, and a Poisson process of the same rate. (arXiv 2512.20605, Fig. 6, shows examples.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from jaxtyping import Float, Int

from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.options import Count, Seed
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.gate.detection_figure import REACH, draw
from irl_lens.analyses.gate.event_scores import (
    NONE,
    Marks,
    circular_shift,
    hits,
    latencies,
    later,
    poisson,
    rand_index,
)
from irl_lens.analyses.stats.estimates import Estimate, ratio, step_mean
from irl_lens.analyses.stats.significance import bootstrap_ci, permutation_pvalue
from irl_lens.arrays import NDArray
from irl_lens.config.ranges import Range
from irl_lens.envs.trajectories import Trajectories
from irl_lens.models.trace import MetaTrace

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
        p: Of the difference between the two, paired.
    """

    score: Estimate
    nulls: dict[str, Estimate]
    p: dict[str, float]


@dataclass(frozen=True)
class BoundaryDetection(Result):
    """See the module.

    Attributes:
        detections: One a tolerance.
        agreement: Of segmentations.
        latency: Share of boundaries by steps to the nearest switch, from -REACH to REACH, all
            that is beyond at the ends, and last of boundaries in episodes without a switch.
        latency_null: The same under the circular shift.
        undecided: Share of steps with a gate neither open nor shut.
        beta: Share of gates in each twentieth of [0, 1]; first steps are left out of all.
        switch_rate: Switches a step.
        boundary_rate: Boundaries a step.
    """

    detections: tuple[Detection, ...]
    agreement: Agreement
    latency: Float[NDArray[np.float64], " bins"]
    latency_null: Float[NDArray[np.float64], " bins"]
    undecided: Estimate
    beta: Float[NDArray[np.float64], " twentieths"]
    switch_rate: Estimate
    boundary_rate: Estimate

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a score; ``p`` where it is compared with a null."""
        rows = []
        for found in self.detections:
            at = {"tolerance": found.tolerance}
            for name in ("precision", "recall", "f1"):
                rows.append({"score": name} | at | getattr(found, name).columns("value"))
            for name, null in found.nulls.items():
                score = null.score.columns("value")
                rows.append({"score": f"f1, {name}"} | at | score | {"p": null.p})
        rows.append({"score": "adjusted Rand"} | self.agreement.score.columns("value"))
        for name, score in self.agreement.nulls.items():
            p = {"p": self.agreement.p[name]}
            rows.append({"score": f"adjusted Rand, {name}"} | score.columns("value") | p)
        for name in ("undecided", "switch_rate", "boundary_rate"):
            rows.append({"score": name} | getattr(self, name).columns("value"))
        return pd.DataFrame(rows)

    def figure(self) -> go.Figure:
        """Draws scores, latencies and gates, each with its nulls."""
        return draw(self)

    def caption(self) -> str:
        """Says what was found, and where a null was not beaten."""
        exact, *_, loose = self.detections
        beaten = max(null.p for found in self.detections for null in found.nulls.values()) < 0.05
        verdict = "above both nulls" if beaten else "NOT above both nulls"
        nulls = ", ".join(f"{n} {x.score.value:.3f}" for n, x in exact.nulls.items())
        within = float(self.latency[REACH - 1 : REACH + 2].sum())
        return (
            f"At the exact step F1 is {exact.f1} (precision {exact.precision.value:.3f}, recall "
            f"{exact.recall.value:.3f}), within {loose.tolerance} step {loose.f1.value:.3f}: "
            f"{verdict} ({nulls} at the exact step; p at most "
            f"{max(n.p for d in self.detections for n in d.nulls.values()):.3g}). The adjusted "
            f"Rand index of segments is {self.agreement.score}, against "
            + " and ".join(f"{x.value:.3f} ({n})" for n, x in self.agreement.nulls.items())
            + f" (p at most {max(self.agreement.p.values()):.3g}). "
            f"A share of {within:.3f} of boundaries has a switch within one step, and "
            f"{self.undecided.value:.3f} of gates are neither open nor shut. Bars of nulls span "
            "95 % of draws, other intervals are 95 % over episodes. The larger p counts, as both "
            "nulls have to be beaten."
        )

    def claims(self) -> tuple[Claim, ...]:
        """F1 at the exact step against the better null."""
        exact = self.detections[0]
        name, null = max(exact.nulls.items(), key=lambda pair: pair[1].score.value)
        sentence = (
            f"The gate finds true boundaries to the step with F1 {exact.f1}, by chance "
            f"({name}) it would be {null.score.value:.3f}."
        )
        p = max(other.p for other in exact.nulls.values())
        return (Claim(sentence, exact.f1.value - null.score.value, p),)


def boundary_detection(
    loaded: LoadedRun,
    seed: Seed = 0,
    draws: Count = 100,
    margin: Annotated[float, Range(0, 0.5)] = 0.1,
    episodes: Count = 512,
) -> BoundaryDetection:
    """Scores the gate of the run's metacontroller on fresh demonstrations.

    Args:
        loaded: The run.
        seed: Of the nulls.
        draws: Of each null.
        margin: A gate nearer than this to 0 or 1 counts as shut or open.
        episodes: At most so many enter the Rand index, which is slow.
    """
    return science(loaded.trace, loaded.test.trajectories, seed, draws, margin, episodes)


def science(
    trace: MetaTrace,
    trajectories: Trajectories,
    seed: int = 0,
    draws: int = 100,
    margin: float = 0.1,
    episodes: int = 512,
) -> BoundaryDetection:
    """Scores a gate; see :func:`boundary_detection`.

    Args:
        trace: What it made of the demonstrations.
        trajectories: The demonstrations.
        seed: Of the nulls.
        draws: Of each null.
        margin: Of an open or a shut gate.
        episodes: In the Rand index.
    """
    mask, rng = trajectories.mask, np.random.default_rng(seed)
    counted = later(mask, mask)
    fired, true = later(trace.switches, mask), later(trajectories.boundaries(), mask)
    rate = float(fired.sum() / max(counted.sum(), 1))
    nulls: dict[str, Callable[[], Marks]] = {
        "circular shift": lambda: circular_shift(fired, mask, rng),
        "Poisson": lambda: poisson(mask, rate, rng),
    }
    drawn = {name: [draw() for _ in range(draws)] for name, draw in nulls.items()}
    gates = np.histogram(trace.beta[counted], 20, (0, 1))[0]
    return BoundaryDetection(
        tuple(_detection(fired, true, drawn, tolerance) for tolerance in TOLERANCES),
        _agreement(fired, true, {n: d[0] for n, d in drawn.items()}, mask, episodes, seed),
        _histogram(latencies(fired, true)),
        np.mean([_histogram(latencies(s, true)) for s in drawn["circular shift"]], axis=0),
        step_mean((trace.beta > margin) & (trace.beta < 1 - margin), counted),
        gates / max(gates.sum(), 1),
        ratio(fired.sum(axis=1), counted.sum(axis=1)),
        ratio(true.sum(axis=1), counted.sum(axis=1)),
    )


def _detection(
    fired: Marks, true: Marks, drawn: dict[str, list[Marks]], tolerance: int
) -> Detection:
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


def _agreement(
    fired: Marks, true: Marks, drawn: dict[str, Marks], mask: Marks, episodes: int, seed: int
) -> Agreement:
    some = slice(episodes)
    own = rand_index(fired[some], true[some], mask[some])
    others = {n: rand_index(s[some], true[some], mask[some]) for n, s in drawn.items()}
    return Agreement(
        bootstrap_ci(own, seed),
        {name: bootstrap_ci(values, seed) for name, values in others.items()},
        {name: permutation_pvalue(own, values, seed=seed) for name, values in others.items()},
    )


def _histogram(steps: Int[NDArray[np.int64], " boundaries"]) -> Float[NDArray[np.float64], " bins"]:
    none = steps == NONE
    bins = np.where(none, 2 * REACH + 1, np.clip(steps, -REACH, REACH) + REACH)
    return np.bincount(bins, minlength=2 * REACH + 2) / max(len(steps), 1)
