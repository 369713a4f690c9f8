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

from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.demonstrations import Sample, action_log_probs, action_nll, taken
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.figures.intervals import with_intervals
from irl_lens.analyses.figures.style import CEILING, FLOOR, MAIN, styled
from irl_lens.analyses.stats.estimates import Estimate, step_mean
from irl_lens.arrays import NDArray
from irl_lens.models.fast import FastPath
from irl_lens.models.heads import Categorical

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
        accuracy: How often the likeliest action was taken; None where actions are real vectors.
    """

    model: str
    certainty: str
    share: float
    nll: Estimate
    accuracy: Estimate | None


@dataclass(frozen=True)
class FloorResult(Result):
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
            | (s.accuracy.columns("accuracy") if s.accuracy else {})
            for s in self.scores
        ]
        return pd.DataFrame(rows)

    def caption(self) -> str:
        """Says how far the base is from the floor, and where."""
        base, bayes, known = (self.score(m).nll.value for m in ("base", "bayes", "known"))
        return (
            f"On boards never seen, the base's action NLL is {base:.3f} nats. The exact Bayes "
            "filter, which no model of these demonstrations can beat on average, has "
            f"{bayes:.3f}: a gap of {self.gap} nats. Told the goal, the expert's own policy has "
            f"{known:.3f}. Where the filter is at least 0.9 certain of the goal the gap is "
            f"{self.gap_certain} nats; there, it can only be planning."
        )

    def claims(self) -> tuple[Claim, ...]:
        """The gap to the floor."""
        return (Claim(f"The base's action NLL is {self.gap} nats above the Bayes floor."),)

    def figure(self) -> go.Figure:
        """Draws the NLL of the three as bars, over all steps and by certainty."""
        figure = go.Figure()
        for model, label in LABELS.items():
            scores = [s for s in self.scores if s.model == model]
            figure.add_bar(
                x=[f"{s.certainty}<br>({s.share:.0%} of steps)" for s in scores],
                **with_intervals([s.nll for s in scores], thickness=1, width=3),
                name=label,
                marker_color=_COLOURS[model],
            )
        figure.update_yaxes(title="action NLL [nats]", rangemode="tozero")
        figure.update_xaxes(title="the Bayes filter's certainty of the goal", showgrid=False)
        return styled(figure, "Base against the exact Bayes filter")


def floor(loaded: LoadedRun) -> FloorResult:
    """Scores the base of a run against the filter."""
    discrete = isinstance(loaded.base.action_head, Categorical)
    return compare_with_floor(loaded.base, loaded.test, loaded.log_probs if discrete else None)


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
    if isinstance(base.action_head, Categorical):
        found = action_log_probs(base, trajectories) if log_probs is None else log_probs
        named = ("probs", "known_probs")
        probs = (np.exp(found), *(floor.require(name) for name in named))
        nlls = [_nll(model, sample) for model in probs]
        right = [model.argmax(axis=2) == trajectories.actions for model in probs]
        gap = -taken(found, trajectories) - floor.nll
    else:
        nlls, right = [action_nll(base, trajectories), floor.nll, floor.known], [None] * 3
        gap = nlls[0] - floor.nll
    certainty, mask = floor.require("visits").max(axis=2), trajectories.mask
    steps = {name: mask & (certainty >= low) & (certainty < high) for name, low, high in BINS}
    steps = {ALL: mask, **{name: where for name, where in steps.items() if where.any()}}
    return FloorResult(
        tuple(
            _score(model, name, nll, hits, where, mask)
            for name, where in steps.items()
            for model, nll, hits in zip(LABELS, nlls, right, strict=True)
        ),
        step_mean(gap, mask),
        step_mean(gap, mask & (certainty >= BINS[-1][1])),
    )


def _score(
    model: str,
    certainty: str,
    nll: Float[NDArray[np.floating], "n steps"],
    right: Bool[NDArray[np.bool_], "n steps"] | None,
    where: Bool[NDArray[np.bool_], "n steps"],
    mask: Bool[NDArray[np.bool_], "n steps"],
) -> FloorScore:
    accuracy = None if right is None else step_mean(right, where)
    share = float(where.sum() / mask.sum())
    return FloorScore(model, certainty, share, step_mean(nll, where), accuracy)


def _nll(
    probs: Float[NDArray[np.floating], "n steps actions"], sample: Sample
) -> Float[NDArray[np.floating], "n steps"]:
    chosen = np.where(sample.trajectories.mask, taken(probs, sample.trajectories), 1)
    return -np.log(np.maximum(chosen, np.finfo(np.float32).tiny))
