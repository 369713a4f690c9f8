"""Linear probes of the residual stream, and the streams that they read.

    p(y_t = k | e_t) = softmax(W e_t + b)_k        e_t at the output of layer l, 0 the embedding

Fitted by full-batch L-BFGS on standardised features: the problem is convex.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from irl_lens.analyses.core.demonstrations import pieces
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import UserError
from irl_lens.models.base import hook_name
from irl_lens.models.fast import FastPath
from irl_lens.training.parallel import in_threads

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


def fit_probe(
    features: Float[Tensor, "tokens d_model"],
    labels: Int[Tensor, " tokens"],
    classes: int,
    iterations: int = 100,
) -> LinearProbe:
    """Fits a softmax regression by L-BFGS, starting from zero.

    Args:
        features: The stream.
        labels: Classes from 0, wherever they are.
        classes: Number of classes.
        iterations: Most iterations; fewer when the loss stands still (1e-6 nats).

    Returns:
        The probe; its weight of a feature that is constant but for rounding is 0.

    Raises:
        UserError: The tokens are not of two classes at least, or of a class there is not.
    """
    _check_labels(labels, classes)
    labels = labels.to(features.device)
    centre, spread = features.mean(dim=0), features.std(dim=0)
    scale = torch.where(spread > ROUNDING * centre.abs(), spread, torch.inf)
    x = (features - centre) / scale
    weight = x.new_zeros(classes, x.shape[1], requires_grad=True)
    bias = x.new_zeros(classes, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=iterations,
        tolerance_change=1e-6,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(F.linear(x, weight, bias), labels)
        loss.backward()
        return loss

    optimizer.step(closure)
    scaled = (weight / scale).detach()
    return LinearProbe(scaled, bias.detach() - scaled @ centre)


def fit_probes(
    streams: Sequence[Float[Tensor, "tokens d_model"]],
    labels: Int[Tensor, " tokens"],
    classes: int,
    iterations: int,
) -> list[LinearProbe]:
    """Fits a probe to each layer's stream, on the tokens that have a label (0 or more).

    Several at a time, each on one core: products as narrow as a probe's keep no two busy.
    """
    kept = labels >= 0

    def fit(stream: Float[Tensor, "tokens d_model"]) -> LinearProbe:
        return fit_probe(stream[kept], labels[kept], classes, iterations)

    return in_threads([partial(fit, stream) for stream in streams])


@torch.no_grad()
def layer_streams(
    base: FastPath, piece: Trajectories, layers: Sequence[int]
) -> list[Float[Tensor, "rows steps d_model"]]:
    """Returns the stream at the output of each of ``layers`` (0: the embedding)."""
    streams: dict[str, Tensor] = {}

    def keep(stream: Tensor, hook) -> None:
        streams[hook.name] = stream.clone()

    names = ["blocks.0.hook_resid_pre" if i == 0 else hook_name(i) for i in layers]
    hooks = [(name, keep) for name in names]
    base.residual(base.tensor(piece.observations), max(1, *layers), hooks)
    return [streams[name].float() for name in names]


def stream_of_steps(
    base: FastPath, trajectories: Trajectories
) -> list[Float[Tensor, "tokens d_model"]]:
    """The stream of every valid step, one tensor a layer, in the order of ``pieces``."""
    layers = range(base.model.n_layers + 1)
    found = [
        [stream[base.tensor(piece.mask)] for stream in layer_streams(base, piece, layers)]
        for _, piece in pieces(trajectories)
    ]
    return [torch.cat(streams) for streams in zip(*found, strict=True)]


def shuffled_labels(labels: Int[Tensor, " tokens"], seed: int) -> Int[Tensor, " tokens"]:
    """Deals labels out anew to the tokens that have one (0 or more)."""
    dealt, kept = labels.clone(), labels[labels >= 0]
    order = torch.randperm(len(kept), generator=torch.Generator().manual_seed(seed))
    dealt[labels >= 0] = kept[order]
    return dealt


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
