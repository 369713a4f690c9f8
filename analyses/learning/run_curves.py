"""How reinforcement learning went: internal against raw-action, in episodes.

Success of every training batch, which is fresh boards, from the stages' own logs. The
longest half is the largest number of the held-out task's first abstract subgoals that
internal RL, trained on just these or on the whole task, completes on at least half of the
solvable boards.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import nan

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.figures.intervals import one_legend
from irl_lens.analyses.figures.style import CONTRAST, MAIN, PALETTE, styled
from irl_lens.analyses.learning.success import HeldOutSuccess, success
from irl_lens.runs.run import Run
from irl_lens.runs.stage import Stage

HALF = 0.5
"""Success that counts."""
COLUMNS = ("episodes", "success", "subgoals", "mean")
"""What there is of every batch."""
NAMES = {"internal-rl": "internal RL", "raw-rl": "raw-action RL", "compile-rl": "CompILE"}
"""Each stage's, as in a legend."""


@dataclass(frozen=True)
class LearningCurve:
    """One training.

    Attributes:
        name: What the curve is of, as in a legend.
        prefix: Abstract subgoals it was trained on; None for the whole task.
        episodes: Played by the end of each batch.
        success: Share of each batch's episodes that completed the task.
        subgoals: Mean abstract subgoals completed in each batch.
        mean: Success of other episodes, by the policy's mean codes; NaN after most batches.
    """

    name: str
    prefix: int | None
    episodes: tuple[float, ...]
    success: tuple[float, ...]
    subgoals: tuple[float, ...]
    mean: tuple[float, ...]


@dataclass(frozen=True)
class LearningResult(Result):
    """All trainings of a run.

    Attributes:
        curves: In the order they are drawn.
        final: Success after training, on fresh solvable boards, by number of abstract
            subgoals (from 2): of internal RL trained on just these, or else on all.
        subgoals: Abstract subgoals of the whole task; 0 where the world does not tell.
        success: The held-out task after training.
    """

    curves: tuple[LearningCurve, ...]
    final: dict[int, float]
    subgoals: int
    success: HeldOutSuccess = field(default_factory=HeldOutSuccess)

    @property
    def composed(self) -> bool:
        """Whether the whole task is known to be of several abstract subgoals."""
        return self.subgoals > 1

    @property
    def longest_half(self) -> int:
        """Most abstract subgoals (from 2) completed at least half the time; 0 for none."""
        return max((n for n, success in self.final.items() if success >= HALF), default=0)

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a batch."""
        frames = [pd.DataFrame({name: getattr(c, name) for name in COLUMNS}) for c in self.curves]
        return pd.concat([f.assign(name=c.name) for f, c in zip(frames, self.curves, strict=True)])

    def caption(self) -> str:
        """Says what was learned, and how much of the task by internal RL."""
        said = [self.success.caption()] * bool(self.success.outcomes)
        if self.success.internal is not None and self.composed:
            said.append(self._longest())
        return " ".join([*said, "Every batch is fresh boards, so curves are honest estimates."])

    def _longest(self) -> str:
        longest, whole = self.longest_half, self.subgoals
        if longest == whole:
            return (
                f"Internal RL completes all {whole} subgoals on at least half of solvable boards."
            )
        if longest:
            return (
                f"The first {longest} of the {whole} subgoals are completed by internal RL on at "
                "least half of solvable boards, and no more, trained on just these or on all."
            )
        tried = ", ".join(f"{n}: {success:.3f}" for n, success in sorted(self.final.items()))
        return (
            "No prefix of two or more subgoals is completed on half of solvable boards "
            f"(success by number of subgoals: {tried})."
        )

    def figure(self) -> go.Figure:
        """Draws success and subgoals reached against episodes."""
        titles = ("success", "subgoals reached" + f", of {self.subgoals}" * bool(self.subgoals))
        figure = make_subplots(cols=2, subplot_titles=titles)
        short = iter(PALETTE[1:5] * len(self.curves))
        for curve in self.curves:
            main = MAIN if curve.name.startswith("internal") else CONTRAST
            colour = main if curve.prefix is None else next(short)
            line = {"color": colour, "dash": "solid" if curve.prefix is None else "dot"}
            for column, y in ((1, curve.success), (2, curve.subgoals)):
                figure.add_scatter(
                    x=curve.episodes,
                    y=y,
                    **one_legend(curve.name, column == 1),
                    line=line,
                    row=1,
                    col=column,
                )
            checked = [(x, y) for x, y in zip(curve.episodes, curve.mean, strict=True) if y == y]
            if checked:
                x, y = zip(*checked, strict=True)
                figure.add_scatter(
                    x=x,
                    y=y,
                    mode="markers",
                    **one_legend(f"{curve.name}, mean codes", True),
                    marker={"color": colour, "symbol": "diamond", "size": 8},
                    row=1,
                    col=1,
                )
        figure.update_xaxes(title="episodes", rangemode="tozero")
        figure.update_yaxes(rangemode="tozero")
        figure.update_yaxes(range=[-0.02, 1.02], col=1)
        layout = {"legend": {"y": 1.12}, "margin": {"t": 130}}
        return styled(figure, "Reinforcement learning on the held-out task", 430, **layout)


def learning(loaded: LoadedRun) -> LearningResult:
    """Reads the logs of a run's reinforcement learning and plays the task with what it left."""
    curves = learning_curves(loaded.run, len(loaded.world.heldout_subgoals))
    return replace(curves, success=success(loaded))


def learning_curves(run: Run, subgoals: int) -> LearningResult:
    """Reads the logs of the finished RL stages.

    Args:
        run: The run.
        subgoals: Abstract subgoals of the whole task.
    """
    curves, final, internal, raw = [], {}, run.stage("internal-rl"), run.stage("raw-rl")
    if internal.done:
        curves.append(_curve(internal, NAMES["internal-rl"], None))
        result = internal.result
        alone = {int(n): part["success"] for n, part in result["prefixes"].items()}
        for prefix in sorted(alone):
            part = internal.part(f"prefix-{prefix}")
            curves.append(_curve(part, f"{NAMES['internal-rl']}, first {prefix} subgoals", prefix))
        # Runs made before these were counted have none.
        whole = {n: result.get(f"reached_{n}", 0.0) for n in range(2, subgoals)}
        final = whole | alone | {subgoals: result["success"]}
    if raw.done:
        curves.append(_curve(raw, NAMES["raw-rl"], None))
    return LearningResult(tuple(curves), final, subgoals)


def _curve(stage: Stage, name: str, prefix: int | None) -> LearningCurve:
    rows = stage.metrics()
    # A world without labels does not tell how many subgoals were completed.
    # Nor are mean codes played in every batch.
    keys = ("episodes", "success", "subgoals", "success_mean")
    columns = (tuple(r.get(k, nan) for r in rows) for k in keys)
    return LearningCurve(name, prefix, *columns)
