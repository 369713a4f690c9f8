"""How close the base comes to the best any model could do.

    gap = mean over steps of  ln p_Bayes(a_t | o_1..t) - ln p_base(a_t | o_1..t)

The exact Bayes filter over tasks is the floor of the action NLL; an expert who is told the
goal shows what knowing it would still save. Steps are also split by how certain the filter
is of the goal: where it is certain the gap is one of planning, elsewhere one of belief too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from jaxtyping import Bool, Float

from irl_lens.analyses.core.demonstrations import Sample, action_log_probs, taken
from irl_lens.analyses.figures.style import CEILING, FLOOR, MAIN, styled
from irl_lens.analyses.stats.estimates import Estimate, step_mean
from irl_lens.arrays import NDArray
from irl_lens.models.fast import FastPath
from irl_lens.runs.stage import Stage

ALL = "all steps"
BINS = (("below 0.5", 0.0, 0.5), ("0.5 to 0.9", 0.5, 0.9), ("0.9 and above", 0.9, np.inf))
"""Name and bounds of the filter's probability of its likeliest goal."""
LABELS = {"base": "base", "bayes": "Bayes filter", "known": "expert, goal known"}
_COLOURS = {"base": MAIN, "bayes": FLOOR, "known": CEILING}


@dataclass(frozen=True)
class FloorScore:
    """One model on some of the steps.

    Attributes:
        model: ``"base"``, ``"bayes"`` or ``"known"``.
        certainty: The steps: all, or those of one bin.
        share: Share of all steps.
        nll: Action NLL [nats].
        accuracy: How often the likeliest action was taken.
    """

    model: str
    certainty: str
    share: float
    nll: Estimate
    accuracy: Estimate


@dataclass(frozen=True)
class FloorResult:
    """Base, Bayes filter and informed expert on the same steps.

    Attributes:
        scores: One a model and set of steps.
        gap: Action NLL of the base over the floor, paired by step [nats].
        gap_certain: The same where the filter is at least 0.9 certain of the goal.
    """

    scores: tuple[FloorScore, ...]
    gap: Estimate
    gap_certain: Estimate

    def score(self, model: str, certainty: str = ALL) -> FloorScore:
        """Looks a score up."""
        return next(s for s in self.scores if (s.model, s.certainty) == (model, certainty))

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a model and set of steps."""
        rows = [
            {"model": s.model, "certainty": s.certainty, "share": s.share}
            | s.nll.columns("nll")
            | s.accuracy.columns("accuracy")
            for s in self.scores
        ]
        return pd.DataFrame(rows)

    def figure(self) -> go.Figure:
        """Draws the NLL of the three as bars, over all steps and by certainty."""
        figure = go.Figure()
        for model, label in LABELS.items():
            scores = [s for s in self.scores if s.model == model]
            spread = [s.nll.high - s.nll.value for s in scores]
            figure.add_bar(
                x=[f"{s.certainty}<br>({s.share:.0%} of steps)" for s in scores],
                y=[s.nll.value for s in scores],
                error_y={"array": spread, "thickness": 1, "width": 3},
                name=label,
                marker_color=_COLOURS[model],
            )
        figure.update_yaxes(title="action NLL [nats]", rangemode="tozero")
        figure.update_xaxes(title="the Bayes filter's certainty of the goal", showgrid=False)
        return styled(figure, "Base against the exact Bayes filter")


def compare_with_floor(
    base: FastPath,
    sample: Sample,
    log_probs: Float[NDArray[np.float32], "n steps actions"] | None = None,
) -> FloorResult:
    """Scores the base against the filter on fresh demonstrations.

    Args:
        base: The base model.
        sample: Demonstrations and filter.
        log_probs: The base's, when they are at hand.
    """
    trajectories, floor = sample.trajectories, sample.floor
    found = action_log_probs(base, trajectories) if log_probs is None else log_probs
    models = {
        "base": np.exp(found),
        "bayes": floor.require("probs"),
        "known": floor.require("known_probs"),
    }
    certainty, mask = floor.require("visits").max(axis=2), trajectories.mask
    steps = {name: mask & (certainty >= low) & (certainty < high) for name, low, high in BINS}
    steps = {ALL: mask, **{name: where for name, where in steps.items() if where.any()}}
    gap = -taken(found, trajectories) - floor.nll
    return FloorResult(
        tuple(
            _score(model, name, probs, sample, where)
            for name, where in steps.items()
            for model, probs in models.items()
        ),
        step_mean(gap, mask),
        step_mean(gap, mask & (certainty >= BINS[-1][1])),
    )


def _score(
    model: str,
    certainty: str,
    probs: Float[NDArray[np.floating], "n steps actions"],
    sample: Sample,
    where: Bool[NDArray[np.bool_], "n steps"],
) -> FloorScore:
    right = probs.argmax(axis=2) == sample.trajectories.actions
    share = float(where.sum() / sample.trajectories.mask.sum())
    nll, accuracy = step_mean(_nll(probs, sample), where), step_mean(right, where)
    return FloorScore(model, certainty, share, nll, accuracy)


def _nll(
    probs: Float[NDArray[np.floating], "n steps actions"], sample: Sample
) -> Float[NDArray[np.floating], "n steps"]:
    chosen = np.where(sample.trajectories.mask, taken(probs, sample.trajectories), 1)
    return -np.log(np.maximum(chosen, np.finfo(np.float32).tiny))


@dataclass(frozen=True)
class TrainingCurve:
    """Action NLL of the base as it was trained; every batch was fresh.

    Attributes:
        steps: Optimisation steps.
        nll: Action NLL of each logged batch [nats].
        floor: The exact Bayes filter's [nats]; None where the world has none.
    """

    steps: tuple[int, ...]
    nll: tuple[float, ...]
    floor: float | None

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a logged step."""
        return pd.DataFrame({"step": self.steps, "nll": self.nll, "floor": self.floor})

    def figure(self) -> go.Figure:
        """Draws the curve above its floor."""
        figure = go.Figure()
        figure.add_scatter(x=self.steps, y=self.nll, name="base", line={"color": MAIN, "width": 1})
        if self.floor is not None:
            figure.add_hline(self.floor, line={"color": FLOOR, "dash": "dash"})
            figure.add_annotation(
                text="Bayes filter", x=1, xref="paper", y=self.floor, yanchor="top", showarrow=False
            )
        figure.update_xaxes(title="optimisation step")
        figure.update_yaxes(title="action NLL [nats]", rangemode="tozero")
        return styled(figure, "Pretraining")


def training_curve(stage: Stage) -> TrainingCurve:
    """Reads the log of a finished base stage."""
    rows = stage.metrics()
    steps, nll = tuple(row["step"] for row in rows), tuple(row["nll"] for row in rows)
    return TrainingCurve(steps, nll, stage.result.get("floor"))
