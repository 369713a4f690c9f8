"""Linear probes: at which layer the current abstract subgoal can be read off the stream.

    p(g_t = g | e_t) = softmax(W e_t + b)_g        e_t at the output of block l, 0 the embedding

(arXiv 2512.20605, Fig. 3, Table A6.) The label is the abstract subgoal pursued at t, never the
position in the task. Trained on some fresh episodes, tested on others: full-batch L-BFGS on
standardised features, in place of the paper's 8,000 AdamW steps, as the problem is convex.
The exact Bayes filter's own accuracy is the ceiling, a probe trained on shuffled labels the
control. What a probe reads need not be what the model uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from irl_lens.analyses.core.demonstrations import Sample, per_step, pieces
from irl_lens.analyses.figures.style import CEILING, GREY, MAIN, styled
from irl_lens.analyses.stats.estimates import Estimate, step_mean
from irl_lens.arrays import NDArray
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import UserError
from irl_lens.models.base import hook_name
from irl_lens.models.fast import FastPath

ROUNDING = 1e-6
"""A feature whose standard deviation is no larger a share of its mean is constant."""


@dataclass(frozen=True)
class LinearProbe:
    """A fitted probe.

    Attributes:
        weight: ``[classes, d_model]``.
        bias: ``[classes]``.
    """

    weight: Float[Tensor, "classes d_model"]
    bias: Float[Tensor, " classes"]

    def predict(self, features: Float[Tensor, "*batch d_model"]) -> Int[Tensor, "*batch"]:
        """Returns the likeliest class."""
        return F.linear(features, self.weight, self.bias).argmax(dim=-1)

    def probabilities(
        self, features: Float[Tensor, "*batch d_model"]
    ) -> Float[Tensor, "*batch classes"]:
        """Returns the probability of every class."""
        return F.linear(features, self.weight, self.bias).softmax(dim=-1)


@dataclass(frozen=True)
class LayerProbe:
    """Test accuracy of one layer's probe, and of its control."""

    layer: int
    accuracy: Estimate
    shuffled: Estimate


@dataclass(frozen=True)
class ProbeResult:
    """Probes for the abstract subgoal by layer.

    Attributes:
        layers: One an output of a block, the embedding (0) first.
        ceiling: Accuracy of the exact Bayes filter on the same steps.
    """

    layers: tuple[LayerProbe, ...]
    ceiling: Estimate

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
        return pd.DataFrame(rows).assign(ceiling=self.ceiling.value)

    def figure(self) -> go.Figure:
        """Draws accuracy by layer between control and ceiling."""
        figure, layers = go.Figure(), [p.layer for p in self.layers]
        curves = {"probe": ("accuracy", MAIN, "solid"), "shuffled": ("shuffled", GREY, "dot")}
        names = {"probe": "linear probe", "shuffled": "trained on shuffled labels"}
        for key, (field, colour, dash) in curves.items():
            estimates = [getattr(p, field) for p in self.layers]
            figure.add_scatter(
                x=layers,
                y=[e.value for e in estimates],
                error_y={"array": [e.high - e.value for e in estimates], "width": 3},
                name=names[key],
                line={"color": colour, "dash": dash},
            )
        figure.add_scatter(
            x=layers,
            y=[self.ceiling.value] * len(layers),
            mode="lines",
            name="exact Bayes filter",
            line={"color": CEILING, "dash": "dash"},
        )
        figure.update_xaxes(title="output of block (0: embedding)", dtick=1)
        figure.update_yaxes(title="accuracy of the current subgoal", range=[0, 1])
        return styled(figure, "Where the current subgoal can be read")


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
        test: Other demonstrations, with the filter's beliefs.
        classes: Number of abstract subgoals.
        iterations: Most L-BFGS iterations a probe.
        seed: Of the shuffling of the control's labels.
    """
    layers = range(base.model.n_layers + 1)
    order, labels = _labels(train)
    generator = torch.Generator().manual_seed(seed)
    shuffled = labels[torch.randperm(len(labels), generator=generator)]
    features = _gather(base, order, layers)
    true = [fit_probe(x, labels, classes, iterations) for x in features]
    control = [fit_probe(x, shuffled, classes, iterations) for x in features]
    estimates = _test(base, test.trajectories, [*true, *control])
    right = test.floor.require("subgoals").argmax(axis=2) == test.trajectories.require("subgoals")
    return ProbeResult(
        tuple(LayerProbe(i, estimates[i], estimates[i + len(layers)]) for i in layers),
        step_mean(right, test.trajectories.mask),
    )


def fit_probe(
    features: Float[Tensor, "tokens d_model"],
    labels: Int[Tensor, " tokens"],
    classes: int,
    iterations: int = 100,
) -> LinearProbe:
    """Fits a softmax regression by L-BFGS, starting from zero.

    Args:
        features: The stream.
        labels: Classes from 0.
        classes: Number of classes.
        iterations: Most iterations; fewer when the loss stands still (1e-6 nats).

    Returns:
        The probe; its weight of a feature that is constant but for rounding is 0.

    Raises:
        UserError: The tokens are not of two classes at least, or of a class there is not.
    """
    _check_labels(labels, classes)
    centre, spread = features.mean(dim=0), features.std(dim=0)
    scale = torch.where(spread > ROUNDING * centre.abs(), spread, torch.inf)
    x = (features - centre) / scale
    weight = torch.zeros(classes, x.shape[1], requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=iterations, tolerance_change=1e-6, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(F.linear(x, weight, bias), labels)
        loss.backward()
        return loss

    optimizer.step(closure)
    scaled = (weight / scale).detach()
    return LinearProbe(scaled, bias.detach() - scaled @ centre)


@torch.no_grad()
def layer_streams(
    base: FastPath, piece: Trajectories, layers: Sequence[int]
) -> list[Float[Tensor, "rows steps d_model"]]:
    """Returns the stream at the output of each of ``layers`` (0: the embedding)."""
    streams: dict[str, Tensor] = {}

    def keep(stream: Tensor, hook) -> None:
        streams[hook.name] = stream.clone()

    names = ["blocks.0.hook_resid_pre" if i == 0 else hook_name(i) for i in layers]
    observations = torch.from_numpy(piece.observations)
    base.residual(observations, fwd_hooks=[(name, keep) for name in names])
    return [streams[name].float() for name in names]


def _check_labels(labels: Int[Tensor, " tokens"], classes: int) -> None:
    there = labels.unique().tolist()
    if there and not 0 <= there[0] <= there[-1] < classes:
        raise UserError(
            f"labels from {there[0]} to {there[-1]} for {classes} classes; number them from 0 "
            f"to {classes - 1}"
        )
    if len(there) < 2:
        raise UserError(
            f"{len(labels)} tokens of {len(there)} classes; a probe needs tokens of 2 classes at "
            "least: give it more episodes"
        )


def _labels(trajectories: Trajectories) -> tuple[list[Trajectories], Int[Tensor, " tokens"]]:
    parts = [piece for _, piece in pieces(trajectories)]
    return parts, torch.cat([torch.from_numpy(p.require("subgoals")[p.mask]) for p in parts])


def _gather(
    base: FastPath, parts: list[Trajectories], layers: Sequence[int]
) -> list[Float[Tensor, "tokens d_model"]]:
    """The stream of every valid step, one tensor a layer."""
    found = [[x[torch.from_numpy(p.mask)] for x in layer_streams(base, p, layers)] for p in parts]
    return [torch.cat(streams) for streams in zip(*found, strict=True)]


def _test(base: FastPath, trajectories: Trajectories, probes: list[LinearProbe]) -> list[Estimate]:
    """Accuracy of several rounds of probes, each round one a layer."""
    layers = range(base.model.n_layers + 1)

    def right(piece: Trajectories) -> NDArray[np.bool_]:
        streams, labels = (
            layer_streams(base, piece, layers),
            torch.from_numpy(piece.require("subgoals")),
        )
        answers = [probe.predict(streams[i % len(layers)]) for i, probe in enumerate(probes)]
        return torch.stack([answer == labels for answer in answers], dim=-1).numpy()

    marks = per_step(trajectories, right)
    return [step_mean(marks[..., i], trajectories.mask) for i in range(len(probes))]
