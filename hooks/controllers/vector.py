"""Additive controllers: e <- e + v, a steering vector.

Not in the paper: the simplest controller, to hold the linear ones against. Mean differences
of activations and directions of linear probes are the usual ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from irl_lens.hooks.controllers.controller import Controller
from irl_lens.hooks.core.activations import positions
from irl_lens.hooks.core.address import indices
from irl_lens.hooks.core.spectrum import Spectrum, precise

if TYPE_CHECKING:
    from transformer_lens import ActivationCache, FactoredMatrix


class VectorController(Controller, kind="vector"):
    """e <- e + v, whatever e is.

    As a matrix it acts on [e, 1]: one singular value |v|, which writes v / |v| and reads
    nothing of the stream.

    Args:
        v: vector that is added, in the stream's units.
        hook_name: hook point at which it acts.

    Raises:
        ValueError: v is a single number.

    Examples:
        >>> steer = VectorController(torch.tensor([3.0, 4.0]), "hook")
        >>> steer(torch.zeros(1, 1, 2)).tolist()
        [[[3.0, 4.0]]]
        >>> steer.spectrum.norm.item(), steer.spectrum.reads.tolist()
        (5.0, [[0.0, 0.0]])
    """

    v: Tensor
    item_axes = 1
    constant = True

    def __init__(self, v: Float[Tensor, "*_"], hook_name: str) -> None:
        super().__init__(hook_name)
        if not v.ndim:
            raise ValueError("v is a single number; it must be a vector, [.., d_model]")
        self.hold("v", v)

    @classmethod
    def zeros(cls, d_model: int, hook_name: str, *, lead: tuple[int, ...] = ()) -> Self:
        """Returns trainable zero vectors: unlike a product of factors, zero trains.

        Examples:
            >>> VectorController.zeros(8, "hook", lead=(3,)).v.shape
            torch.Size([3, 8])
        """
        return cls(nn.Parameter(torch.zeros(*lead, d_model)), hook_name)

    @classmethod
    def trainable(
        cls,
        d_model: int,
        hook_name: str,
        *,
        rank: int = 16,
        init: float = 0.1,
        lead: tuple[int, ...] = (),
        generator: torch.Generator | None = None,
    ) -> Self:
        return cls.zeros(d_model, hook_name, lead=lead)

    @classmethod
    def from_difference(
        cls,
        cache_a: ActivationCache | Mapping[str, Tensor],
        cache_b: ActivationCache | Mapping[str, Tensor],
        hook_name: str,
        *,
        valid_a: Bool[Tensor, "rows steps"] | None = None,
        valid_b: Bool[Tensor, "rows steps"] | None = None,
    ) -> Self:
        """Returns v = mean(a) - mean(b), over rows and steps: it moves b's mean to a's.

        The mean-difference steering vector (Turner et al., arXiv 2308.10248; Rimsky et al.,
        arXiv 2312.06681). It is a constant: no gradient goes back into the caches.

        Args:
            cache_a: activations to move towards; rows and steps need not be those of `b`.
            cache_b: activations to move away from.
            hook_name: hook point that they are from and v is added at.
            valid_a: which steps of `a` count, all if None.
            valid_b: which steps of `b` count, all if None.

        Raises:
            ValueError: a cache that lacks the hook point, activations that are not [rows,
                steps, d_model] or differ in width, a mask of another shape or without steps.

        Examples:
            >>> a, b = {"hook": torch.full((2, 3, 1), 5.0)}, {"hook": torch.zeros(4, 6, 1)}
            >>> VectorController.from_difference(a, b, "hook").v.tolist()
            [5.0]
        """
        a = positions(cache_a, hook_name, valid_a).mean(0)
        b = positions(cache_b, hook_name, valid_b).mean(0)
        if a.shape != b.shape:
            raise ValueError(
                f"the caches are {len(a)} and {len(b)} wide at {hook_name}; take both from "
                "one model"
            )
        return cls(a - b, hook_name)

    @classmethod
    def from_probe(
        cls,
        weight: Float[Tensor, "*_"],
        label: int,
        hook_name: str,
        size: float = 1.0,
    ) -> Self:
        """Returns the direction in which a linear probe's class gains on the others' mean.

            v = size (w_c - w) / |w_c - w|,   w the mean of all classes' weights

        A softmax does not change when one vector is added to all its weights, so only
        their differences mean anything; hence the centring. A probe of one logit for two
        classes is the softmax probe with the weights [-w / 2, w / 2].

        Args:
            weight: the probe's, [classes, d_model], for the raw stream: divide by its scale
                one that was fitted on scaled features.
            label: the class c.
            hook_name: hook point that the probe reads.
            size: |v|, in the stream's units.

        Raises:
            ValueError: no such class, or a weight that does not differ from the mean.

        Examples:
            >>> weight = torch.tensor([[5.0, 2.0], [5.0, 0.0]])
            >>> VectorController.from_probe(weight, 0, "hook", size=3.0).v.tolist()
            [0.0, 3.0]
        """
        (label,) = indices("class", [label])
        if weight.ndim != 2 or label >= len(weight):
            raise ValueError(
                f"class {label} of a probe with weights {tuple(weight.shape)}; they must be "
                "[classes, d_model], and the class one of these"
            )
        centred = precise(weight.detach())
        direction = centred[label] - centred.mean(dim=0)
        length = direction.norm()
        if not length > 0:
            raise ValueError(
                f"the weights of class {label} are the mean of all {len(weight)} classes and "
                "point nowhere; of a single logit w, give [-w / 2, w / 2]"
            )
        return cls(direction * (size / length), hook_name)

    @property
    def d_model(self) -> int:
        return self.v.shape[-1]

    def delta(self, x: Shaped[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        return self.aligned(self.v, x).expand_as(x)

    def mixture(
        self, x: Float[Tensor, "*batch d_model"], weights: Float[Tensor, "*batch n"]
    ) -> Float[Tensor, "*batch d_model"]:
        return weights @ self.v.to(x)

    def inner(self, other: Self) -> Float[Tensor, "*lead"]:
        return (precise(self.v) * precise(other.v)).sum(-1)

    def null(self, generator: torch.Generator) -> Self:
        rotated = self.rotations(generator) @ self.v.detach()[..., None]
        return type(self)(rotated[..., 0], self.hook_name)

    def exported(self) -> tuple[str, dict[str, Tensor]]:
        return "e + v", self.tensors()

    @property
    def matrix(self) -> Float[Tensor, "*lead d_model d_model"]:
        # Nothing of the stream is read.
        return torch.zeros(*self.lead, self.d_model, self.d_model).to(self.v)

    @property
    def spectrum(self) -> Spectrum:
        v = precise(self.v).unsqueeze(-2)
        return Spectrum(v.norm(dim=-1), torch.zeros_like(v), nn.functional.normalize(v, dim=-1))

    @property
    def factored(self) -> FactoredMatrix:
        """[0, v]^T, d_model + 1 by d_model, as a FactoredMatrix: ``[e, 1] @ factored.AB`` is v.

        ``factored @ model.W_U`` is what the vector does to the logits, in the last row.

        Examples:
            >>> steer, e = VectorController(torch.tensor([3.0, 4.0]), "hook"), torch.randn(2)
            >>> torch.cat([e, torch.ones(1)]) @ steer.factored.AB
            tensor([3., 4.])
        """
        from transformer_lens import FactoredMatrix

        constant = torch.eye(self.d_model + 1)[:, -1:].to(self.v)
        return FactoredMatrix(constant, self.v.unsqueeze(-2))
