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
from jaxtyping import Float
from plotly.subplots import make_subplots

from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.options import Count, Seed
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.figures.intervals import one_legend, with_intervals
from irl_lens.analyses.figures.style import CONTRAST, GREY, MAIN, styled
from irl_lens.analyses.gate.detection_scores import (
    REACH,
    TOLERANCES,
    Agreement,
    Detection,
    agreement,
    detection,
    latency_shares,
)
from irl_lens.analyses.gate.event_scores import Marks, circular_shift, latencies, later, poisson
from irl_lens.analyses.stats.estimates import Estimate, ratio, step_mean
from irl_lens.arrays import NDArray
from irl_lens.config.ranges import Range
from irl_lens.envs.trajectories import Trajectories
from irl_lens.models.trace import MetaTrace

NULLS = ("circular shift", "Poisson")


@dataclass(frozen=True)
class BoundaryDetection(Result):
    """See the module.

    Attributes:
        detections: One a tolerance.
        agreement: Agreement of segmentations.
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
        titles = ("detection of boundaries", "steps to the nearest switch", "gates")
        figure = make_subplots(cols=3, subplot_titles=titles, column_widths=[0.4, 0.35, 0.25])
        _scores(figure, self)
        ends = [str(n) for n in range(1 - REACH, REACH)]
        bins = [f"<{1 - REACH}", *ends, f">{REACH - 1}", "none"]
        for name, shares, colour in (
            ("gate", self.latency, MAIN),
            ("circular shift", self.latency_null, GREY),
        ):
            look = {"marker_color": colour} | one_legend(name, False)
            figure.add_bar(x=bins, y=shares, **look, col=2, row=1)
        middles = (np.arange(len(self.beta)) + 0.5) / len(self.beta)
        bars = {"marker_color": MAIN, "width": 1 / len(self.beta)}
        figure.add_bar(x=middles, y=self.beta, **bars, **one_legend("gate", False), col=3, row=1)
        figure.update_yaxes(title="score", range=[0, 1.05], col=1)
        figure.update_yaxes(title="share of boundaries", rangemode="tozero", col=2)
        figure.update_xaxes(title="steps, late is positive", type="category", tickangle=0, col=2)
        figure.update_yaxes(title="share of steps", type="log", tickformat=".0e", dtick=1, col=3)
        figure.update_xaxes(title="beta", col=3)
        layout = {"legend": {"y": 1.14}, "margin": {"t": 120}}
        return styled(figure, "The gate as a detector of boundaries", 430, **layout)

    def caption(self) -> str:
        """Says what was found, and where a null was not beaten."""
        exact, *_, loose = self.detections
        beaten = max(null.p for found in self.detections for null in found.nulls.values()) < 0.05
        verdict = "above both nulls" if beaten else "NOT above both nulls"
        nulls = ", ".join(f"{n} {x.score.value:.3f}" for n, x in exact.nulls.items())
        off = "1 step" if loose.tolerance == 1 else f"{loose.tolerance} steps"
        within = float(self.latency[REACH - 1 : REACH + 2].sum())
        return (
            f"At the exact step F1 is {exact.f1} (precision {exact.precision.value:.3f}, recall "
            f"{exact.recall.value:.3f}), within {off} {loose.f1.value:.3f}: "
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
        seed: Seed of the nulls.
        draws: Draws of each null.
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
        seed: Seed of the nulls.
        draws: Draws of each null.
        margin: A gate nearer than this to 0 or 1 counts as shut or open.
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
        tuple(
            detection(fired, true, drawn, tolerance)
            for tolerance in sorted({*TOLERANCES, trajectories.tolerance})
        ),
        agreement(fired, true, {n: d[0] for n, d in drawn.items()}, mask, episodes, seed),
        latency_shares(latencies(fired, true)),
        np.mean([latency_shares(latencies(s, true)) for s in drawn["circular shift"]], axis=0),
        step_mean((trace.beta > margin) & (trace.beta < 1 - margin), counted),
        gates / max(gates.sum(), 1),
        ratio(fired.sum(axis=1), counted.sum(axis=1)),
        ratio(true.sum(axis=1), counted.sum(axis=1)),
    )


def _scores(figure: go.Figure, result: BoundaryDetection) -> None:
    bars: dict[str, list[Estimate]] = {"gate": []} | {name: [] for name in NULLS}
    labels = []
    for found in result.detections:
        labels.append(f"F1, ±{found.tolerance}" if found.tolerance else "F1, exact")
        bars["gate"].append(found.f1)
        for name in NULLS:
            bars[name].append(found.nulls[name].score)
    bars["gate"].append(result.agreement.score)
    for name in NULLS:
        bars[name].append(result.agreement.nulls[name])
    for (name, scores), colour in zip(bars.items(), (MAIN, GREY, CONTRAST), strict=True):
        figure.add_bar(
            x=[*labels, "Rand index"],
            **with_intervals(scores),
            marker_color=colour,
            **one_legend(name, True),
            row=1,
            col=1,
        )
