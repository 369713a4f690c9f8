"""Does the model believe what it should? A probe's probabilities against the exact posterior.

    q_t = softmax(W e_t + b),   p_t = the exact filter's posterior over abstract subgoals at t
    KL(p_t || q_t),   H(y, q) = -ln q_t(y_t),   ECE: :mod:`irl_lens.analyses.stats.calibration`

The paper shows a probe's probabilities along episodes (arXiv 2512.20605, Fig. 3, A1); here
the exact filter of the world says what they should be. Both see the same observations, none the
goal. The control is a probe that knows only how often each subgoal occurs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from jaxtyping import Float, Int
from plotly.subplots import make_subplots

from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.demonstrations import per_step
from irl_lens.analyses.core.labels import by_token, labels_of
from irl_lens.analyses.core.linear_probe import (
    LinearProbe,
    fit_probe,
    layer_streams,
    stream_of_steps,
)
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.options import Count, Index
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.figures.style import CEILING, GREY, MAIN, styled
from irl_lens.analyses.stats.calibration import Calibration, calibration
from irl_lens.analyses.stats.estimates import Estimate, step_mean
from irl_lens.arrays import NDArray
from irl_lens.envs.trajectories import Trajectories
from irl_lens.models.fast import FastPath

Probs = Float[NDArray[np.floating], "n steps classes"]
Labels = Int[NDArray[np.int64], "n steps"]
SINCE = 12
"""Steps after the beginning of a subgoal that are drawn."""


@dataclass(frozen=True)
class Reader:
    """One source of probabilities.

    Attributes:
        name: As in the legend.
        accuracy: Accuracy of its likeliest subgoal.
        cross_entropy: -ln of what it gives the true one [nats].
        divergence: KL of the exact posterior to it [nats].
        calibration: Calibration of its likeliest subgoal.
        since: Mean probability of the true subgoal by steps since that began; the first subgoal
            of an episode, which nothing has announced, is left out.
    """

    name: str
    accuracy: Estimate
    cross_entropy: Estimate
    divergence: Estimate
    calibration: Calibration
    since: Float[NDArray[np.float64], " since"]

    def columns(self) -> dict[str, float]:
        """Returns the numbers with their intervals as columns of a table."""
        return (
            self.accuracy.columns("accuracy")
            | self.cross_entropy.columns("cross_entropy")
            | self.divergence.columns("divergence")
            | self.calibration.error.columns("calibration_error")
        )


@dataclass(frozen=True)
class BeliefResult(Result):
    """A probe, the exact filter, and the control.

    Attributes:
        layer: Its output is what the probe reads.
        readers: Probe, exact filter, control.
    """

    layer: int
    readers: tuple[Reader, Reader, Reader]

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a reader."""
        return pd.DataFrame([{"reader": reader.name} | reader.columns() for reader in self.readers])

    def caption(self) -> str:
        """How far the probe is from the filter, and whether it is better than the control."""
        probe, exact, control = self.readers
        better = "better" if probe.divergence.high < control.divergence.low else "no better"
        return (
            f"The probe at layer {self.layer} names the subgoal with accuracy {probe.accuracy}, "
            f"the exact filter with {exact.accuracy.value:.3f}. Its cross-entropy is "
            f"{probe.cross_entropy.value:.3f} nats against {exact.cross_entropy.value:.3f}; from "
            f"the exact posterior it is {probe.divergence.value:.3f} nats away, {better} than "
            f"the frequencies of the subgoals alone ({control.divergence.value:.3f}). Its "
            f"confidence is off by {probe.calibration.error} on average."
        )

    def claims(self) -> tuple[Claim, ...]:
        """How near the exact filter the probe is, as a share of the control's distance."""
        probe, _, control = self.readers
        sentence = (
            f"The belief that a probe reads at layer {self.layer} is {probe.divergence.value:.3f} "
            f"nats from the exact posterior, frequencies alone {control.divergence.value:.3f}."
        )
        nearer = control.divergence, probe.divergence
        return (Claim.against(sentence, *nearer, reach=control.divergence.value),)

    def figure(self) -> go.Figure:
        """Draws the belief after a subgoal begins, and confidence against accuracy."""
        titles = ("after a subgoal begins", "calibration")
        figure = make_subplots(1, 2, subplot_titles=titles, horizontal_spacing=0.12)
        for reader, colour in zip(self.readers, (MAIN, CEILING, GREY), strict=True):
            common = {"name": reader.name, "legendgroup": reader.name, "line": {"color": colour}}
            figure.add_scatter(y=reader.since, row=1, col=1, **common)
            common |= {"showlegend": False, "mode": "lines+markers"}
            sure, (value, low, high) = reader.calibration.confidence, reader.calibration.right
            bars = {"array": high - value, "arrayminus": value - low, "width": 3}
            figure.add_scatter(x=sure, y=value, error_y=bars, row=1, col=2, **common)
        line = {"color": GREY, "dash": "dot"}
        figure.add_scatter(
            x=[0, 1], y=[0, 1], mode="lines", line=line, showlegend=False, row=1, col=2
        )
        figure.update_xaxes(title="steps since it began", col=1)
        figure.update_xaxes(title="confidence", range=[0, 1], col=2)
        figure.update_yaxes(title="probability of the true subgoal", range=[0, 1], col=1)
        figure.update_yaxes(title="accuracy", range=[0, 1], col=2)
        layout = {"legend": {"y": 1.12}, "margin": {"t": 130}}
        return styled(figure, "Belief about the subgoal", 430, **layout)


def belief(
    loaded: LoadedRun, layer: Index | None = None, episodes: Count = 1_024, iterations: Count = 100
) -> BeliefResult:
    """Compares a probe's probabilities with the exact posterior.

    Args:
        loaded: The run's parts.
        layer: Where the probe reads; half way up when not given.
        episodes: Most demonstrations to fit on, and to test on.
        iterations: Most L-BFGS iterations of the probe.

    Raises:
        ValueError: The base has no such layer.
    """
    top = loaded.base.model.n_layers
    layer = (top + 1) // 2 if layer is None else layer
    if not 0 <= layer <= top:
        raise ValueError(f"layer {layer}: the base has layers 0 (embedding) to {top}")
    classes, fit = len(loaded.world.subgoal_names), loaded.fit.rows(slice(episodes))
    test = loaded.test.trajectories.rows(slice(episodes))
    labels = by_token(fit, "subgoal")
    stream = stream_of_steps(loaded.base, fit)[layer]
    probe = fit_probe(stream, torch.from_numpy(labels), classes, iterations)
    exact = loaded.test.floor.require("subgoals")[:episodes, : test.mask.shape[1]]
    often = np.bincount(labels, minlength=classes) / len(labels)
    sources = {
        "linear probe": probe_probabilities(loaded.base, test, {layer: probe})[:, :, 0],
        "exact Bayes filter": exact,
        "frequencies alone": np.broadcast_to(often, exact.shape),
    }
    probe_, exact_, control = (compare(name, probs, exact, test) for name, probs in sources.items())
    return BeliefResult(layer, (probe_, exact_, control))


@torch.no_grad()
def probe_probabilities(
    base: FastPath, trajectories: Trajectories, probes: Mapping[int, LinearProbe]
) -> Float[NDArray[np.floating], "n steps layers classes"]:
    """The probabilities of each layer's probe at every step; 0 on padding."""

    def measure(piece: Trajectories) -> NDArray[np.float32]:
        streams = layer_streams(base, piece, tuple(probes))
        pairs = zip(probes.values(), streams, strict=True)
        return torch.stack([probe.probabilities(x) for probe, x in pairs], dim=2).cpu().numpy()

    return per_step(trajectories, measure)


def compare(
    name: str, probs: Probs, exact: Probs, trajectories: Trajectories, target: str = "subgoal"
) -> Reader:
    """Scores probabilities by the true labels, and by the exact posterior.

    Args:
        name: Name of their source.
        probs: At every step.
        exact: The exact posterior at every step.
        trajectories: The demonstrations.
        target: What is believed, as of :func:`irl_lens.analyses.belief.label_probes.labels_of`.
    """
    mask, labels = trajectories.mask, labels_of(trajectories, target)
    true, right = true_probability(probs, labels), probs.argmax(axis=2) == labels
    logs = np.log(np.maximum(probs, 1e-12))
    divergence = (exact * (np.log(np.maximum(exact, 1e-12)) - logs)).sum(axis=2)
    return Reader(
        name,
        step_mean(right, mask),
        step_mean(-np.log(np.maximum(true, 1e-12)), mask),
        step_mean(divergence, mask),
        calibration(probs.max(axis=2), right, mask),
        _since(true, labels),
    )


def true_probability(probs: Probs, labels: Labels) -> Float[NDArray[np.floating], "n steps"]:
    """Looks up what is given to the true labels; of no meaning where there is none."""
    return np.take_along_axis(probs, np.maximum(labels, 0)[..., None], axis=2)[..., 0]


def _since(
    true: Float[NDArray[np.floating], "n steps"], labels: Labels
) -> Float[NDArray[np.float64], " since"]:
    begun = _steps_since(labels)
    return np.array(
        [true[begun == k].mean() if (begun == k).any() else np.nan for k in range(SINCE)]
    )


def _steps_since(labels: Labels) -> Labels:
    """Steps since the present label began; -1 during an episode's first, and on padding."""
    begins = np.zeros(labels.shape, bool)
    begins[:, 1:] = (labels[:, 1:] >= 0) & (labels[:, 1:] != labels[:, :-1])
    steps = np.arange(labels.shape[1])
    last = np.maximum.accumulate(np.where(begins, steps, -1), axis=1)
    return np.where((last >= 0) & (labels >= 0), steps - last, -1)
