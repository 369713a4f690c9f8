"""How well the held-out task is done after reinforcement learning, internal and raw-action.

Both meet the same fresh boards, primitive actions sampled at the temperature of their training.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.core.trial import Outcome, Trial
from irl_lens.analyses.figures.style import CONTRAST, MAIN, styled
from irl_lens.models.fast import FastPath

MEASURES = {
    "success_solvable": "success, solvable boards",
    "success_all": "success, all boards",
    "subgoals": "subgoals reached",
    "visits": "visits completed",
}


@dataclass(frozen=True)
class HeldOutSuccess(Result):
    """The held-out task after training on it.

    Attributes:
        internal: Played by the internal policy; None if it is not trained.
        raw: Played by the base after raw-action RL; None if there was none.
    """

    internal: Outcome | None = None
    raw: Outcome | None = None

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """Those that there are, by the kind of reinforcement learning."""
        both = {"internal": self.internal, "raw-action": self.raw}
        return {name: outcome for name, outcome in both.items() if outcome is not None}

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a kind of reinforcement learning."""
        return pd.DataFrame([{"learning": n} | x.columns() for n, x in self.outcomes.items()])

    def caption(self) -> str:
        """Says how much of the task is done after each."""
        return " ".join(
            f"On the held-out task after {name} RL: {outcome.sentence()}."
            for name, outcome in self.outcomes.items()
        )

    def figure(self) -> go.Figure:
        """Draws shares of boards, and mean numbers beside them."""
        figure = make_subplots(cols=2, subplot_titles=("share of boards", "mean number"))
        for name, outcome in self.outcomes.items():
            for column, measures in enumerate((list(MEASURES)[:2], list(MEASURES)[2:]), start=1):
                found = [getattr(outcome, measure) for measure in measures]
                figure.add_bar(
                    x=[MEASURES[measure] for measure in measures],
                    y=[x.value for x in found],
                    error_y={
                        "array": [x.high - x.value for x in found],
                        "arrayminus": [x.value - x.low for x in found],
                    },
                    name=f"{name} RL",
                    legendgroup=name,
                    showlegend=column == 1,
                    marker_color=MAIN if name == "internal" else CONTRAST,
                    row=1,
                    col=column,
                )
        figure.update_yaxes(rangemode="tozero")
        figure.update_yaxes(range=[0, 1], col=1)
        layout = {"legend": {"y": 1.12}, "margin": {"t": 120}}
        return styled(figure, "The held-out task after reinforcement learning", 430, **layout)


def success(loaded: LoadedRun) -> HeldOutSuccess:
    """Plays the held-out task with whatever of a run was trained on it."""
    done = loaded.run.finished()
    return HeldOutSuccess(
        _internal(loaded) if "internal-rl" in done else None,
        _raw(loaded) if "raw-rl" in done else None,
    )


def _internal(loaded: LoadedRun) -> Outcome:
    return loaded.trial.play(loaded.base, loaded.run.policy)


def _raw(loaded: LoadedRun) -> Outcome:
    temperature = loaded.run.preset.raw_rl.temperature
    trial = Trial(loaded.world, loaded.sizes.rollouts, loaded.run.seed, temperature)
    return trial.play(FastPath(loaded.run.raw))
