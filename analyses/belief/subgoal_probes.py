"""Linear probes: at which layer the current abstract subgoal can be read off the stream.

    p(g_t = g | e_t) = softmax(W e_t + b)_g        e_t at the output of layer l, 0 the embedding

(arXiv 2512.20605, Fig. 3, Table A6.) The label is the abstract subgoal pursued at t, never the
position in the task. Trained on some fresh episodes, tested on others: full-batch L-BFGS on
standardised features, in place of the paper's 8,000 AdamW steps, as the problem is convex.
The exact Bayes filter's own accuracy, where there is a filter, is the ceiling, a probe trained on
shuffled labels the control. What a probe reads need not be what the model uses.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch

from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.demonstrations import Sample, per_step
from irl_lens.analyses.core.labels import by_token
from irl_lens.analyses.core.linear_probe import (
    LinearProbe,
    fit_probes,
    layer_streams,
    stream_of_steps,
)
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.options import Count, Seed
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.figures.intervals import with_intervals
from irl_lens.analyses.figures.style import CEILING, GREY, MAIN, styled
from irl_lens.analyses.stats.estimates import Estimate, step_mean
from irl_lens.arrays import NDArray
from irl_lens.envs.trajectories import Trajectories
from irl_lens.models.fast import FastPath


@dataclass(frozen=True)
class LayerProbe:
    """Test accuracy of one layer's probe, and of its control."""

    layer: int
    accuracy: Estimate
    shuffled: Estimate


@dataclass(frozen=True)
class ProbeResult(Result):
    """Probes for the abstract subgoal by layer.

    Attributes:
        layers: One an output of a layer, the embedding (0) first.
        ceiling: Accuracy of the exact Bayes filter on the same steps; None where the world has
            none.
    """

    layers: tuple[LayerProbe, ...]
    ceiling: Estimate | None

    @property
    def best(self) -> LayerProbe:
        """The layer of highest accuracy."""
        return max(self.layers, key=lambda layer: layer.accuracy.value)

    @property
    def gain(self) -> float:
        """Accuracy of the best layer over the embedding's."""
        return self.best.accuracy.value - self.layers[0].accuracy.value

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a layer."""
        rows = [
            {"layer": p.layer} | p.accuracy.columns("accuracy") | p.shuffled.columns("shuffled")
            for p in self.layers
        ]
        return pd.DataFrame(rows).assign(ceiling=self.ceiling.value if self.ceiling else nan)

    def caption(self) -> str:
        """Says where the subgoal is read best, between control and ceiling."""
        best, embedding = self.best, self.layers[0].accuracy.value
        exact = f"The exact filter reaches {self.ceiling.value:.3f}; the" if self.ceiling else "The"
        return (
            f"A linear probe reads the current abstract subgoal best at layer {best.layer}: "
            f"accuracy {best.accuracy} on episodes it was not trained on, {self.gain:+.3f} over "
            f"the embedding's {embedding:.3f}. {exact} same probe trained on shuffled labels "
            f"reaches {best.shuffled.value:.3f}. That something can be read does not show that the "
            "model uses it."
        )

    def claims(self) -> tuple[Claim, ...]:
        """The best layer against its probe trained on shuffled labels."""
        best = self.best
        said = (
            f"A linear probe reads the current abstract subgoal at layer {best.layer} with "
            f"accuracy {best.accuracy}, trained on shuffled labels {best.shuffled.value:.3f}."
        )
        reach, tried = 1 - best.shuffled.value, len(self.layers)
        return (Claim.against(said, best.accuracy, best.shuffled, reach, tried),)

    def figure(self) -> go.Figure:
        """Draws accuracy by layer between control and ceiling."""
        figure, layers = go.Figure(), [p.layer for p in self.layers]
        curves = {"probe": ("accuracy", MAIN, "solid"), "shuffled": ("shuffled", GREY, "dot")}
        names = {"probe": "linear probe", "shuffled": "trained on shuffled labels"}
        for key, (field, colour, dash) in curves.items():
            estimates = [getattr(p, field) for p in self.layers]
            figure.add_scatter(
                x=layers,
                **with_intervals(estimates, width=3),
                name=names[key],
                line={"color": colour, "dash": dash},
            )
        if self.ceiling:
            figure.add_scatter(
                x=layers,
                y=[self.ceiling.value] * len(layers),
                mode="lines",
                name="exact Bayes filter",
                line={"color": CEILING, "dash": "dash"},
            )
        figure.update_xaxes(title="output of layer (0: embedding)", dtick=1)
        figure.update_yaxes(title="accuracy of the current subgoal", range=[0, 1])
        return styled(figure, "Where the current subgoal can be read")


def subgoal_probes(
    loaded: LoadedRun, iterations: Count | None = None, seed: Seed = 0
) -> ProbeResult:
    """Fits and tests one probe a layer of a run's base.

    Args:
        loaded: The run's parts.
        iterations: Most L-BFGS iterations a probe; the run's own setting if not given.
        seed: Seed of the shuffling of the control's labels.
    """
    classes = len(loaded.world.subgoal_names)
    most = loaded.sizes.probe_iterations if iterations is None else iterations
    return probe_layers(loaded.base, loaded.fit, loaded.test, classes, most, seed)


def probe_layers(
    base: FastPath,
    train: Trajectories,
    test: Sample,
    classes: int,
    iterations: int = 100,
    seed: int = 0,
) -> ProbeResult:
    """Fits and tests one probe a layer.

    Args:
        base: The base model.
        train: Demonstrations to fit on.
        test: Other demonstrations, with the filter's beliefs if there is one.
        classes: Number of abstract subgoals.
        iterations: Most L-BFGS iterations a probe.
        seed: Seed of the shuffling of the control's labels.
    """
    layers = range(base.model.n_layers + 1)
    labels = torch.from_numpy(by_token(train, "subgoal"))
    generator = torch.Generator().manual_seed(seed)
    shuffled = labels[torch.randperm(len(labels), generator=generator)]
    features = stream_of_steps(base, train)
    probes = [p for y in (labels, shuffled) for p in fit_probes(features, y, classes, iterations)]
    estimates = _test(base, test.trajectories, probes)
    return ProbeResult(
        tuple(LayerProbe(i, estimates[i], estimates[i + len(layers)]) for i in layers),
        _ceiling(test) if test.has_floor else None,
    )


def _ceiling(test: Sample) -> Estimate:
    right = test.floor.require("subgoals").argmax(axis=2) == test.trajectories.require("subgoals")
    return step_mean(right, test.trajectories.mask)


def _test(base: FastPath, trajectories: Trajectories, probes: list[LinearProbe]) -> list[Estimate]:
    """Accuracy of several rounds of probes, each round one a layer."""
    layers = range(base.model.n_layers + 1)

    def right(piece: Trajectories) -> NDArray[np.bool_]:
        streams, labels = (
            layer_streams(base, piece, layers),
            base.tensor(piece.require("subgoals")),
        )
        answers = [probe.predict(streams[i % len(layers)]) for i, probe in enumerate(probes)]
        return torch.stack([answer == labels for answer in answers], dim=-1).cpu().numpy()

    marks = per_step(trajectories, right)
    return [step_mean(marks[..., i], trajectories.mask) for i in range(len(probes))]
