"""Whether the gate opens where a new abstract subgoal begins.

    precision = hits / switches,  recall = hits / boundaries,  F1 = 2 hits / (switches + boundaries)

The hard gate (beta >= 0.5) against the true boundaries, at the exact step unless labels are less
exact than that. The first step of an episode is left out: its switch is forced. The null moves
each episode's switches by a random number of steps, round the episode: same rate, same spacing, no
timing. The paper shows this by example traces only (arXiv 2512.20605, Fig. 6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from jaxtyping import Float, Int

from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.options import Count, Seed
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.core.trial import percent
from irl_lens.analyses.figures.style import CONTRAST, INK, paler, styled, subgoal_colours
from irl_lens.analyses.gate.event_scores import Marks, circular_shift, later
from irl_lens.analyses.stats.estimates import Estimate, ratio
from irl_lens.arrays import NDArray
from irl_lens.envs.trajectories import Trajectories
from irl_lens.models.trace import MetaTrace
from irl_lens.training.switches import SwitchCounts, hits


@dataclass(frozen=True)
class GateScores:
    """Switches as detections of boundaries.

    Attributes:
        precision: Share of switches that are boundaries.
        recall: Share of boundaries that are switches.
        f1: Their harmonic mean; 0 without any switch.
        f1_null: F1 under the null: mean and central 95 % of the draws.
        switch_rate: Switches a step.
        boundary_rate: Boundaries a step.
    """

    precision: Estimate
    recall: Estimate
    f1: Estimate
    f1_null: Estimate
    switch_rate: Estimate
    boundary_rate: Estimate


@dataclass(frozen=True)
class Raster:
    """Some episodes to look at, steps from 0; labels are -1 on padding."""

    subgoals: Int[NDArray[np.int64], "rows steps"]
    beta: Float[NDArray[np.float32], "rows steps"]
    switches: Marks
    boundaries: Marks


@dataclass(frozen=True)
class GateResult(Result):
    """Scores of the gate, and episodes to see them on."""

    scores: GateScores
    raster: Raster
    names: tuple[str, ...]

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a score."""
        rows = [{"score": name} | x.columns("value") for name, x in vars(self.scores).items()]
        return pd.DataFrame(rows)

    def caption(self) -> str:
        """Says how well switches find boundaries, against the null."""
        scores = self.scores
        above = "above" if scores.f1.low > scores.f1_null.high else "not above"
        return (
            f"The hard gate opens at {percent(scores.switch_rate.value)} of steps; a new subgoal "
            f"begins at {percent(scores.boundary_rate.value)}. At the exact step, precision is "
            f"{scores.precision.value:.3f}, recall {scores.recall.value:.3f}, F1 {scores.f1}: "
            f"{above} the {scores.f1_null.value:.3f} of the same switches shifted round each "
            "episode. No label was used in training the gate. Bands are true subgoals."
        )

    def claims(self) -> tuple[Claim, ...]:
        """F1 against the null."""
        own, null = self.scores.f1, self.scores.f1_null
        said = (
            f"The gate finds boundaries at the exact step with F1 {own}; the same switches "
            f"shifted round each episode have {null.value:.3f}."
        )
        return (Claim.against(said, own, null, 1 - null.value),)

    def figure(self) -> go.Figure:
        """Draws each episode's true subgoals as bands and the gate's switches as strokes."""
        figure, raster = go.Figure(), self.raster
        colours = [paler(colour) for colour in subgoal_colours(self.names).values()]
        figure.add_heatmap(
            z=np.where(raster.subgoals < 0, np.nan, raster.subgoals),
            customdata=raster.beta,
            colorscale=_steps(colours),
            zmin=-0.5,
            zmax=len(colours) - 0.5,
            showscale=False,
            hovertemplate="episode %{y}, step %{x}: beta %{customdata:.2f}<extra></extra>",
            ygap=3,
        )
        for name, colour in zip(self.names, colours, strict=True):
            figure.add_scatter(
                x=[None],
                y=[None],
                mode="markers",
                name=f"subgoal {name}",
                marker={"symbol": "square", "size": 12, "color": colour},
            )
        self._strokes(figure)
        figure.update_xaxes(title="step", showgrid=False)
        figure.update_yaxes(title="episode", autorange="reversed", showgrid=False)
        height = 200 + 20 * len(raster.subgoals)
        figure.update_layout(margin_t=130)  # three lines of legend where the figure is narrow
        return styled(figure, "The gate and the true subgoals", height, plot_bgcolor="white")

    def _strokes(self, figure: go.Figure) -> None:
        raster = self.raster
        kinds = {
            "switch on a boundary": (raster.switches & raster.boundaries, INK, "line-ns"),
            "switch elsewhere": (raster.switches & ~raster.boundaries, CONTRAST, "line-ns"),
            "boundary without a switch": (raster.boundaries & ~raster.switches, INK, "x-thin"),
        }
        for name, (marks, colour, symbol) in kinds.items():
            rows, steps = np.nonzero(marks)
            # The stroke stands where the step begins; an empty trace would lose its legend.
            figure.add_scatter(
                x=[*(steps - 0.5), None],
                y=[*rows, None],
                mode="markers",
                name=name,
                marker={"symbol": symbol, "size": 14, "line": {"color": colour, "width": 3}},
            )


def gate(loaded: LoadedRun, seed: Seed = 0, episodes: Count = 20) -> GateResult:
    """Scores the gate of a run's metacontroller.

    Args:
        loaded: The run's parts.
        seed: Seed of the null.
        episodes: How many are drawn.
    """
    names = loaded.world.subgoal_names
    return gate_against_boundaries(loaded.trace, loaded.test.trajectories, names, seed, episodes)


def gate_against_boundaries(
    trace: MetaTrace,
    trajectories: Trajectories,
    names: Sequence[str],
    seed: int = 0,
    episodes: int = 20,
) -> GateResult:
    """Scores the gate of a metacontroller.

    Args:
        trace: What it made of the demonstrations.
        trajectories: The demonstrations.
        names: Names of the abstract subgoals.
        seed: Seed of the null.
        episodes: How many to keep for the raster.
    """
    boundaries, mask = trajectories.boundaries(), trajectories.mask
    scores = score_gate(trace.switches, boundaries, mask, seed, tolerance=trajectories.tolerance)
    steps = int(trajectories.lengths[:episodes].max())
    switches = trace.switches.copy()
    switches[:, 0] = False
    shown = slice(episodes), slice(steps)
    raster = Raster(
        trajectories.require("subgoals")[shown],
        trace.beta[shown],
        switches[shown],
        boundaries[shown],
    )
    return GateResult(scores, raster, tuple(names))


def score_gate(
    switches: Marks,
    boundaries: Marks,
    mask: Marks,
    seed: int = 0,
    draws: int = 50,
    tolerance: int = 0,
) -> GateScores:
    """Scores switches as detections of boundaries.

    Args:
        switches: Where the hard gate opens.
        boundaries: Where a new subgoal begins.
        mask: Steps that happened.
        seed: Seed of the null.
        draws: Random shifts of all episodes.
        tolerance: Steps by which a switch may be off.
    """
    counted = mask.copy()
    counted[:, 0] = False
    fired, true = (marks & counted for marks in (switches, boundaries))
    fired_n, true_n, steps = (x.sum(axis=1) for x in (fired, true, counted))
    found = hits(fired, true, tolerance)
    rng = np.random.default_rng(seed)
    shifted = (circular_shift(switches, mask, rng) for _ in range(draws))
    null = [SwitchCounts.of(x, boundaries, mask, tolerance).scores()["f1"] for x in shifted]
    return GateScores(
        ratio(found, fired_n),
        ratio(found, true_n),
        ratio(2 * found, fired_n + true_n),
        Estimate(float(np.mean(null)), *np.quantile(null, (0.025, 0.975)).tolist()),
        ratio(fired_n, steps),
        ratio(true_n, steps),
    )


def f1_of(marks: Marks, shown: Trajectories) -> Estimate:
    """F1 of any marks as detections of demonstrations' boundaries, counted as a gate's switches.

    Args:
        marks: Where something is said to begin; those at first steps do not count.
        shown: The demonstrations.
    """
    fired, true = (later(x, shown.mask) for x in (marks, shown.boundaries()))
    found = hits(fired, true, shown.tolerance)
    return ratio(2 * found, fired.sum(axis=1) + true.sum(axis=1))


def _steps(colours: Sequence[str]) -> list[list]:
    """A colour scale of equal steps."""
    n = len(colours)
    return [[edge / n, c] for i, c in enumerate(colours) for edge in (i, i + 1)]
