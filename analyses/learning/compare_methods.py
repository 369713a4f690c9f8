"""How reinforcement learning went in a set of runs: methods against each other, over seeds.

Runs of the same settings are seeds of one method (:mod:`irl_lens.analyses.learning.methods`).
Curves are medians and quartiles over seeds (arXiv 2512.20605, Fig. 8, A5). Sample efficiency
is the number of episodes after which the mean success of the last few batches first reached
one half, or "never". The control is raw-action RL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.learning.figure import draw, quartiles
from irl_lens.analyses.learning.methods import READ, WINDOW, Method, difference, methods
from irl_lens.analyses.learning.run_curves import HALF
from irl_lens.analyses.stats.significance import holm
from irl_lens.envs.registry import make_world
from irl_lens.errors import UserError
from irl_lens.progress import Progress
from irl_lens.runs.folder import first_difference
from irl_lens.runs.run import Run


@dataclass(frozen=True)
class LearningSet(Result):
    """See the module.

    Attributes:
        methods: Internal ones first.
        subgoals: Abstract subgoals of the task.
    """

    methods: tuple[Method, ...]
    subgoals: int

    @property
    def control(self) -> Method | None:
        """Raw-action RL, the first if its settings differ."""
        return next((m for m in self.methods if m.stage == "raw-rl"), None)

    @property
    def chances(self) -> dict[str, tuple[float, float]]:
        """p of each other method against the control, and the least there can be.

        Both are adjusted for all of them (Holm).
        """
        control, others = self.control, [m for m in self.methods if m is not self.control]
        if control is None or not others:
            return {}
        found = zip(*(difference(method, control) for method in others), strict=True)
        pairs = zip(*map(holm, found), strict=True)
        return {method.name: pair for method, pair in zip(others, pairs, strict=True)}

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a method and seed; no episodes to half where it is never reached."""
        rows = [
            {"method": method.name, "seed": seed, "episodes": method.episodes[-1]}
            | {"reached_half": bool(np.isfinite(half)), "initial": method.initial[i]}
            | {"episodes_to_half": half if np.isfinite(half) else nan}
            | method.last(i).columns("final")
            for method in self.methods
            for i, (seed, half) in enumerate(zip(method.seeds, method.to_half, strict=True))
        ]
        return pd.DataFrame(rows)

    def figure(self) -> go.Figure:
        """Draws curves on linear and logarithmic axes, and the table of sample efficiency."""
        return draw(self.methods, self.subgoals)

    def caption(self) -> str:
        """Says what is learned, how soon, and whether it is more than the control learns."""
        said, tested = " ".join(map(self._sentence, self.methods)), len(self.chances)
        several = f" p is adjusted for {tested} methods (Holm)." if tested > 1 else ""
        return (
            f"{said} Half is reached when the mean success of {WINDOW} batches is {HALF}; "
            '"never" speaks of the training that was done. Bands are quartiles over seeds. Every '
            f"batch is fresh boards.{several}"
        )

    def claims(self) -> tuple[Claim, ...]:
        """Each method but the control, against it if there is one."""
        found = []
        for method in self.methods:
            if method is not self.control:
                effect, p = nan, nan
                if self.control:
                    effect = float(np.median(method.final) - np.median(self.control.final))
                    p, _ = self.chances[method.name]
                found.append(Claim(self._sentence(method), effect, p))
        return tuple(found)

    def _sentence(self, method: Method) -> str:
        n, reached = len(method.seeds), int(np.isfinite(method.to_half).sum())
        final = f"{np.median(method.final):.3f}" if n > 1 else str(method.last(0))
        text = (
            f"{method.name[0].upper()}{method.name[1:]}: success goes from "
            f"{np.median(method.initial):.3f} to {final}"
            + (f" (median of {n} seeds)" if n > 1 else " (one seed)")
        )
        if reached:
            text += f", half after {quartiles(method.to_half)} episodes"
            text += f" in {reached} of {n} seeds" if n > 1 else ""
        else:
            text += f", never half within {method.episodes[-1]:,.0f} episodes"
        return f"{text}{self._against(method)}."

    def _against(self, method: Method) -> str:
        if self.control is None or method is self.control:
            return ""
        p, least = self.chances[method.name]
        if np.isnan(p):
            return "; not to be compared with raw-action RL"
        chance = "" if p < 0.05 else "; this may be chance"
        few = f", at least {least:.2g} with so few seeds" if least >= 0.05 else ""
        return f" (p = {p:.3g} against raw-action RL{few}{chance})"


def learning_set(runs: Sequence[Run], progress: Progress | None = None) -> LearningSet:
    """Reads the logs of the finished reinforcement learning of runs.

    Args:
        runs: Runs on one world, of any settings and seeds.
        progress: Told of nothing: this takes no time.

    Raises:
        UserError: There is no run, one has learned nothing yet, or worlds differ.
    """
    if not runs:
        raise UserError("learning needs at least one run")
    for run in runs:
        if not any(run.stage(stage).done for stage in READ):
            raise UserError(
                f"{run.folder} has no finished reinforcement learning; first: irl-lens train "
                f"internal-rl --preset {run.preset.name} --out {run.folder}"
            )
        one, other = (x.preset.to_dict()["world"] for x in (runs[0], run))
        if one != other:
            was, now = first_difference(one, other, "world")
            raise UserError(f"{runs[0].folder} has {was} and {run.folder} {now}; compare one world")
    subgoals = len(make_world(runs[0].preset.world).heldout_subgoals)
    return LearningSet(methods(runs), subgoals)
