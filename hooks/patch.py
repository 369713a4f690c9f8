"""Patches: put other values where an activation was, at chosen rows, steps and heads.

Standard tools of causal analysis: activation patching, ablation (zero, mean, resample),
subspace ablation and interchange, interpolation. What is not addressed is carried on bit
for bit.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal, Self

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .address import Address, Axes
from .intervention import Intervention

if TYPE_CHECKING:
    from transformer_lens import ActivationCache


class Patch(Intervention):
    """Replaces what is addressed.

    Args:
        hook_name: where.
        rows: rows of the batch, all if None.
        steps: steps of the sequence, all if None.
        heads: heads, all if None; only at hook points that have an axis of heads.

    Raises:
        ValueError: when run, at an address outside the hooked tensor.
    """

    def __init__(
        self,
        hook_name: str,
        rows: Iterable[int] | None = None,
        steps: Iterable[int] | None = None,
        heads: Iterable[int] | None = None,
    ) -> None:
        super().__init__(hook_name)
        self.address = Address.at(rows, steps, heads)

    @abstractmethod
    def replacement(self, x: Tensor) -> Tensor:
        """Returns the new value of every position, of which the addressed are used."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(self.mask(x), self.replacement(x).to(x), x)

    def mask(self, x: Tensor) -> Bool[Tensor, "_ ..."]:
        """Returns what of `x` is addressed."""
        return self.address.mask(x, self.hook_name, self.offset, self.windowed)

    def placed(self, values: Float[Tensor, "_ ..."], x: Tensor) -> Tensor:
        """Returns stored values as those of `x`: its steps, its shape.

        Raises:
            ValueError: the values cannot stand for those of `x`.
        """
        axis = Axes.of(self.hook_name).step
        if values.ndim == x.ndim and values.shape[axis] != 1:
            values = self.window(values, x, axis)
        try:
            return values.to(x).expand_as(x)
        except RuntimeError:
            raise ValueError(
                f"the value is {tuple(values.shape)}, {self.hook_name} carries "
                f"{tuple(x.shape)}; give that shape, with 1 where all share one value"
            ) from None

    def config(self) -> dict[str, Any]:
        return {**super().config(), **asdict(self.address)}


class ReplacePatch(Patch):
    """x <- value.

    Args:
        value: rows first, the whole sequence's; size 1 where all share one value.
        hook_name: where.
        **address: `rows`, `steps`, `heads`.
    """

    value: Tensor

    def __init__(self, value: Float[Tensor, "_ ..."], hook_name: str, **address: Any) -> None:
        super().__init__(hook_name, **address)
        self.hold("value", value)

    @classmethod
    def from_cache(
        cls, cache: ActivationCache | Mapping[str, Tensor], hook_name: str, **arguments: Any
    ) -> Self:
        """Returns the patch with what a cache holds of the hook point.

        Args:
            cache: a TransformerLens cache, or any mapping.
            hook_name: where the values come from and go to.
            **arguments: the constructor's others.

        Raises:
            ValueError: the cache does not hold it.
        """
        if hook_name not in cache:
            raise ValueError(
                f"the cache has no {hook_name!r}; run the source with names_filter={hook_name!r}"
            )
        return cls(cache[hook_name], hook_name, **arguments)

    def replacement(self, x: Tensor) -> Tensor:
        return self.placed(self.value, x)


class AblatePatch(Patch):
    """x <- 0, or the mean of a reference batch, or another row of it.

    Args:
        hook_name: where.
        method: "zero"; "mean" over the reference's rows and steps; "resample": row i takes
            another row of the reference, drawn once, so that it is the same in every call.
        reference: a batch of the hook point's activations, for all but "zero".
        seed: draws the resampling.
        **address: `rows`, `steps`, `heads`.

    Raises:
        ValueError: a reference is missing, or has a single row to resample.
    """

    reference: Tensor | None

    def __init__(
        self,
        hook_name: str,
        method: Literal["zero", "mean", "resample"] = "zero",
        reference: Float[Tensor, "_ ..."] | None = None,
        seed: int = 0,
        **address: Any,
    ) -> None:
        super().__init__(hook_name, **address)
        if method not in ("zero", "mean", "resample"):
            raise ValueError(f"method {method!r}; there are 'zero', 'mean' and 'resample'")
        if method != "zero" and reference is None:
            raise ValueError(f"method {method!r} needs a reference batch of activations")
        if method == "resample" and reference is not None and len(reference) < 2:
            raise ValueError("resampling from a reference of 1 row; give at least 2 rows")
        self.method, self.seed = method, seed
        self.register_buffer("reference", reference)

    def replacement(self, x: Tensor) -> Tensor:
        if self.reference is None:
            return torch.zeros_like(x)
        if self.method == "mean":
            axes = (0, Axes.of(self.hook_name).step)
            return self.placed(self.reference.mean(axes, keepdim=True), x)
        return self.placed(self.reference[another_row(len(self.reference), self.seed)], x)

    def config(self) -> dict[str, Any]:
        return {**super().config(), "method": self.method, "seed": self.seed}


class InterpolatePatch(ReplacePatch):
    """x <- (1 - weight) x + weight value.

    Args:
        value: as in :class:`ReplacePatch`.
        hook_name: where.
        weight: 0 leaves x, 1 replaces it; beyond is extrapolation.
        **address: `rows`, `steps`, `heads`.
    """

    def __init__(
        self, value: Float[Tensor, "_ ..."], hook_name: str, weight: float, **address: Any
    ) -> None:
        super().__init__(value, hook_name, **address)
        self.weight = weight

    def replacement(self, x: Tensor) -> Tensor:
        return torch.lerp(x, self.placed(self.value, x), self.weight)

    def config(self) -> dict[str, Any]:
        return {**super().config(), "weight": self.weight}


class SubspacePatch(Patch):
    """x <- x + P (s - x), P the projection on a subspace.

    Args:
        basis: vectors that span the subspace, independent; they need not be orthonormal.
        hook_name: where.
        source: s, whose component in the subspace is swapped in; projected out if None.
        **address: `rows`, `steps`, `heads`.

    Raises:
        ValueError: the vectors are dependent.
    """

    basis: Tensor
    source: Tensor | None
    directions: Tensor

    def __init__(
        self,
        basis: Float[Tensor, "vectors width"],
        hook_name: str,
        source: Float[Tensor, "_ ..."] | None = None,
        **address: Any,
    ) -> None:
        super().__init__(hook_name, **address)
        dimensions = int(torch.linalg.matrix_rank(basis.detach().float()))
        if dimensions < len(basis):
            raise ValueError(f"{len(basis)} vectors span {dimensions} dimensions; drop some")
        self.register_buffer("basis", basis)
        self.register_buffer("source", source)
        directions, _ = torch.linalg.qr(basis.float().mT)
        self.register_buffer("directions", directions, persistent=False)

    def replacement(self, x: Tensor) -> Tensor:
        directions = self.directions.to(x)
        change = -x if self.source is None else self.placed(self.source, x) - x
        return x + (change @ directions) @ directions.mT


def another_row(rows: int, seed: int) -> list[int]:
    """Returns, for each row, another one: a random permutation of a single cycle."""
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed)).tolist()
    successor = dict(zip(order, order[1:] + order[:1], strict=True))
    return [successor[row] for row in range(rows)]
