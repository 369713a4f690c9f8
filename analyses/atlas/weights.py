"""What a controller reads and writes, from weights alone, against placebos of the same norm.

    reads(X)  = |U X| / (|U| |X|)        writes(X) = |X^T U| / (|U| |X|)        Frobenius

As the composition scores of Elhage et al. (2021, "A mathematical framework for transformer
circuits"): X is a probe's centred weight of a class, the unembedding of the actions (centred where
they are logits; of the means where they are real), or
of a next-layer head the matrix W_Q W_K^T, which the stream enters as query or, transposed, as
key, or W_V W_O. Layer norms between are left out of account. The placebo keeps the singular
values and draws the directions; p is adjusted for all scores of the controller, by the one that
stands out most of each draw (:func:`irl_lens.analyses.stats.significance.largest_pvalues`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from irl_lens.analyses.atlas.subjects import Subject, random_directions
from irl_lens.analyses.stats.significance import largest_pvalues
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.heads import Gaussian

Targets = dict[str, Float[Tensor, "d_model columns"]]


@dataclass(frozen=True)
class Score:
    """How much of what a controller reads or writes lies in some weights.

    Attributes:
        side: ``"reads"`` or ``"writes"``.
        target: Which weights.
        value: The score, from 0 to 1.
        placebo: Mean score of the placebos.
        p: One-sided, against the placebos, adjusted for all scores of the controller.
    """

    side: str
    target: str
    value: float
    placebo: float
    p: float


def score(
    subject: Subject, reads: Targets, writes: Targets, draws: int = 99, seed: int = 0
) -> tuple[Score, ...]:
    """Scores a controller against weights.

    Args:
        subject: The controller.
        reads: Weights it may read, by name.
        writes: Weights that may read it, by name.
        draws: Placebos.
        seed: Seed of the placebos.
    """
    generator = torch.Generator().manual_seed(seed)
    spectrum = subject.spectrum
    named = [("reads", name) for name in reads] + [("writes", name) for name in writes]
    own = (spectrum.values, spectrum.reads, spectrum.writes)
    null = (random_directions(spectrum, generator) for _ in range(draws))
    values, *drawn = (_overlaps(*each, reads, writes) for each in (own, *null))
    placebo = np.array(drawn)
    p = largest_pvalues(np.array(values), placebo)
    numbers = zip(named, values, placebo.mean(axis=0).tolist(), p.tolist(), strict=True)
    return tuple(Score(*which, value, mean, chance) for which, value, mean, chance in numbers)


def overlap(
    values: Float[Tensor, " k"],
    directions: Float[Tensor, "k d_model"],
    weights: Float[Tensor, "d_model columns"],
) -> Float[Tensor, ""]:
    """|diag(s) V X| / (|s| |X|); 0 for a zero controller or zero weights."""
    size = values.norm() * weights.norm()
    return (values[:, None] * (directions @ weights)).norm() / torch.where(size > 0, size, 1)


def written_to(model: TrajectoryModel, layer: int) -> Targets:
    """Weights that read the stream at the output of ``layer``: actions' and the next heads'.

    Args:
        model: The base.
        layer: Counted from 1.
    """
    unembed = model.hooked.unembed.W_U.detach().float()
    if isinstance(model.action_head, Gaussian):
        targets = {"action means": unembed[:, : model.action_head.action_shape[0]]}
    else:
        targets = {"action logits": unembed - unembed.mean(dim=1, keepdim=True)}
    if layer < model.n_layers:
        a = model.hooked.blocks[layer].attn
        q, k, v, o = (w.detach().float() for w in (a.W_Q, a.W_K, a.W_V, a.W_O))  # type: ignore
        circuits = {"query": _product(q, k.mT), "key": _product(k, q.mT), "OV": _product(v, o)}
        for part, weights in circuits.items():
            for head, own in enumerate(weights):
                targets[f"layer {layer + 1} head {head} {part}"] = own
    return targets


def probed(weight: Float[Tensor, "classes d_model"], names: tuple[str, ...]) -> Targets:
    """A probe's classes, less their mean, which the softmax does not see."""
    centred = weight - weight.mean(dim=0)
    pairs = zip(names, centred.split(1), strict=True)
    return {f"probe {name}": w.mT for name, w in pairs}


def _product(
    one: Float[Tensor, "heads d_model d_head"], other: Float[Tensor, "heads d_head d_model"]
) -> Float[Tensor, "heads d_model columns"]:
    """What has the norm of the product with anything on the left, in few columns: one R^T."""
    return one @ torch.linalg.qr(other.mT).R.mT


def _overlaps(
    values: Float[Tensor, " k"],
    read: Float[Tensor, "k d_model"],
    written: Float[Tensor, "k d_model"],
    reads: Targets,
    writes: Targets,
) -> list[float]:
    sides = ((read, reads), (written, writes))
    return [float(overlap(values, side, x)) for side, targets in sides for x in targets.values()]
