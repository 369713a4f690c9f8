"""How pretraining went: the base's action NLL as it was trained, above its floor."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.figures.style import FLOOR, MAIN, styled
from irl_lens.envs.contracts import has_recorded
from irl_lens.runs.stage import Stage


@dataclass(frozen=True)
class TrainingCurve(Result):
    """Action NLL of the base as it was trained.

    Attributes:
        steps: Optimisation steps.
        nll: Action NLL of each logged batch [nats].
        floor: The exact Bayes filter's [nats]; None where the world has none.
        fresh: Whether every batch was drawn afresh, and not of what is recorded.
    """

    steps: tuple[int, ...]
    nll: tuple[float, ...]
    floor: float | None
    fresh: bool = True

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a logged step."""
        return pd.DataFrame({"step": self.steps, "nll": self.nll, "floor": self.floor})

    def caption(self) -> str:
        """Says where the base's training ended."""
        if not self.steps:
            return "No step of pretraining was logged."
        floor = "" if self.floor is None else f"; the exact Bayes filter has {self.floor:.3f}"
        return (
            f"The base's action NLL goes from {self.nll[0]:.3f} to {self.nll[-1]:.3f} nats in "
            f"{self.steps[-1]:,} steps of pretraining{floor}. {self._batches}"
        )

    @property
    def _batches(self) -> str:
        if self.fresh:
            return "Every batch was fresh."
        return "Batches are of recorded demonstrations, which come again."

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


def pretraining(loaded: LoadedRun) -> TrainingCurve:
    """Reads the log of a run's base."""
    return training_curve(loaded.run.stage("base"), fresh=not has_recorded(loaded.world))


def training_curve(stage: Stage, fresh: bool = True) -> TrainingCurve:
    """Reads the log of a finished base stage; ``fresh`` as of :class:`TrainingCurve`."""
    rows = stage.metrics()
    steps, nll = tuple(row["step"] for row in rows), tuple(row["nll"] for row in rows)
    return TrainingCurve(steps, nll, stage.result.get("floor"), fresh)
