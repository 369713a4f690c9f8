"""Whether the codes at switches are subgoals, and whether they steer.

    c_g = mean of z_t over switches t with subgoal g,    guess at t = argmin_g |z_t - c_g|

Identity: nearest-centroid accuracy of the abstract subgoal from z where the hard gate opens
(the first step included: its switch is forced, its code is not), centroids from some fresh
episodes, accuracy on others. The encoder's means are taken, without its noise. Steering: the
held-out task, the centroid of the true subgoal put in by an oracle at the gate's own switches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from jaxtyping import Bool, Float

from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.core.switch_codes import (
    Centroids,
    Codes,
    Labels,
    class_means,
    commonest,
    nearest,
)
from irl_lens.analyses.core.trial import Outcome, Trial, percent
from irl_lens.analyses.figures.style import INK, styled, subgoal_colours
from irl_lens.analyses.stats.estimates import Estimate, ratio
from irl_lens.arrays import NDArray
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import NotOffered
from irl_lens.models.causal import CausalHalf, Gated
from irl_lens.models.fast import FastPath
from irl_lens.models.trace import MetaTrace, encode
from irl_lens.rl.oracle import OracleCodes
from irl_lens.training.parallel import in_threads

SHOWN = 1_500
"""Codes drawn in the figure."""


@dataclass(frozen=True)
class CodesResult(Result):
    """Codes at switches.

    Attributes:
        identity: Nearest-centroid accuracy on fresh episodes.
        identity_later: The same without the first step of each episode.
        chance: Share of the most frequent subgoal at switches.
        confusion: Share of each guess (column) for each true subgoal (row).
        centroids: One a subgoal; NaN for one that no switch began.
        codes: Some of the codes that were tested.
        labels: Their true subgoals.
        names: Names of the subgoals.
        outcome: The held-out task with centroids given by an oracle; None where the world does
            not tell what is pursued.
        likeliest: The same with the likeliest primitive actions in place of drawn ones.
    """

    identity: Estimate
    identity_later: Estimate
    chance: float
    confusion: Float[NDArray[np.float64], "subgoals guesses"]
    centroids: Centroids
    codes: Codes
    labels: Labels
    names: tuple[str, ...]
    outcome: Outcome | None
    likeliest: Outcome | None

    def to_dataframe(self) -> pd.DataFrame:
        """Returns the confusion table, one row a true subgoal."""
        frame = pd.DataFrame(self.confusion, columns=list(self.names))
        frame.insert(0, "subgoal", list(self.names))
        return frame

    def caption(self) -> str:
        """Says how well codes tell subgoals, and how well they steer."""
        steered = (
            "With the centroid of the true subgoal put in at the gate's own switches, "
            f"{self.outcome.sentence()} on the held-out task "
            f"({percent(self.likeliest.success_solvable.value)} by the likeliest actions)."
            if self.outcome and self.likeliest
            else "The world does not tell what is pursued, so that codes cannot be tried."
        )
        return (
            "From the code at a switch, the nearest centroid gives the abstract subgoal with "
            f"accuracy {self.identity} on fresh episodes; always guessing the commonest would "
            f"give {self.chance:.3f}. {steered} Diamonds are centroids."
        )

    def claims(self) -> tuple[Claim, ...]:
        """The accuracy against always guessing the commonest subgoal."""
        said = (
            f"The nearest centroid tells the subgoal of a code with accuracy {self.identity}; "
            f"the commonest is {self.chance:.3f} of them."
        )
        chance = Estimate(self.chance, self.chance, self.chance)
        return (Claim.against(said, self.identity, chance, 1 - self.chance),)

    def figure(self) -> go.Figure:
        """Draws codes and centroids in the plane of the codes' two largest variances."""
        centre = self.codes.mean(axis=0)
        axes = np.linalg.svd(self.codes - centre, full_matrices=False)[2][:2].T
        points, means = ((x - centre) @ axes for x in (self.codes, self.centroids))
        figure = go.Figure()
        for i, (name, colour) in enumerate(subgoal_colours(self.names).items()):
            own = points[self.labels == i]
            mark = {"color": colour, "size": 4, "opacity": 0.5}
            figure.add_scatter(
                x=own[:, 0], y=own[:, 1], mode="markers", name=f"subgoal {name}", marker=mark
            )
            mark = {"color": colour, "size": 15, "symbol": "diamond"}
            mark |= {"line": {"color": INK, "width": 2}}
            figure.add_scatter(
                x=means[i : i + 1, 0],
                y=means[i : i + 1, 1],
                mode="markers",
                name=f"centroid of {name}",
                showlegend=False,
                marker=mark,
            )
        figure.update_xaxes(title="first principal axis of z")
        figure.update_yaxes(title="second", scaleanchor="x")
        return styled(figure, "Codes at switches", 480)


def codes(loaded: LoadedRun) -> CodesResult:
    """Scores the codes of a run's metacontroller."""
    meta, names = loaded.run.metacontroller, loaded.world.subgoal_names
    fit = encode(meta, loaded.base, loaded.fit), loaded.fit
    test = loaded.trace, loaded.test.trajectories
    return codes_at_switches(fit, test, names, loaded.base, meta, loaded.trial)


def codes_at_switches(
    fit: tuple[MetaTrace, Trajectories],
    test: tuple[MetaTrace, Trajectories],
    names: Sequence[str],
    base: FastPath,
    meta: CausalHalf,
    trial: Trial,
) -> CodesResult:
    """Scores the codes of a metacontroller.

    Args:
        fit: Demonstrations that the centroids come from, and their trace.
        test: Others, which are guessed.
        names: Names of the abstract subgoals.
        base: The base model.
        meta: The metacontroller.
        trial: How the held-out task is played.
    """
    centroids = class_means(*switched(*fit), classes=len(names))
    seen, labels = switched(*test)
    guesses, trace = nearest(seen, centroids), test[0]
    oracle = centroid_oracle(centroids, meta)
    later = trace.switches.copy()
    later[:, 0] = False
    return CodesResult(
        accuracy(guesses == labels, trace.switches, trace.switches),
        accuracy(guesses == labels, trace.switches, later),
        commonest(labels),
        _confusion(labels, guesses, len(names)),
        centroids,
        seen[:SHOWN],
        labels[:SHOWN],
        tuple(names),
        *in_threads([partial(_steered, each, base, oracle) for each in (trial, trial.likeliest)]),
    )


def _steered(trial: Trial, base: FastPath, oracle: OracleCodes) -> Outcome | None:
    try:
        return trial.play(base, oracle)
    except NotOffered:  # the world labels what was demonstrated, but not what is done
        return None


def centroid_oracle(centroids: Centroids, meta: Gated) -> OracleCodes:
    """Returns the actor that puts in the true subgoal's centroid when the gate opens."""
    # What it gives for a subgoal that was never seen can be no guess at it.
    given = np.where(np.isfinite(centroids), centroids, np.nanmean(centroids, axis=0))
    return OracleCodes(torch.from_numpy(given).float(), meta)


def switched(trace: MetaTrace, trajectories: Trajectories) -> tuple[Codes, Labels]:
    """Returns the codes at all switches, and the subgoals pursued there."""
    return trace.z[trace.switches], trajectories.require("subgoals")[trace.switches]


def accuracy(
    right: Bool[NDArray[np.bool_], " codes"],
    switches: Bool[NDArray[np.bool_], "n steps"],
    where: Bool[NDArray[np.bool_], "n steps"],
) -> Estimate:
    """Share of guesses that are right.

    Args:
        right: Whether the guess at each switch is.
        switches: Where these were made.
        where: Those of them that count.
    """
    marks = np.zeros_like(switches)
    marks[switches] = right
    return ratio((marks & where).sum(axis=1), where.sum(axis=1))


def _confusion(labels: Labels, guesses: Labels, classes: int) -> NDArray[np.float64]:
    table = np.zeros((classes, classes))
    np.add.at(table, (labels, guesses), 1)
    return table / np.maximum(table.sum(axis=1, keepdims=True), 1)
