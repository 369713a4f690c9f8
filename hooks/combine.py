"""Interventions made of interventions, all at one hook point.

With delta(x) = f(x) - x: Scale is x + factor delta(x), Sum is x + sum_i delta_i(x), each
part seeing the same x; Sequence is one intervention up to a step and another from it on;
Mask confines one to rows and steps. At several hook points, attach several interventions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from .address import Address, Axes
from .intervention import Intervention
from .part import Part


class Scale(Intervention):
    """x <- x + factor delta(x): 0 is no intervention, 1 the intervention, 2 twice its change.

    Args:
        inner: the intervention.
        factor: the factor.
    """

    def __init__(self, inner: Intervention, factor: float) -> None:
        super().__init__(inner.hook_name)
        self.inner = inner
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x + (self.factor * self.inner.delta(x)).to(x.dtype)

    def config(self) -> dict[str, Any]:
        return {"factor": self.factor}


class Sum(Intervention):
    """x <- x + sum_i delta_i(x).

    Args:
        *terms: interventions at one hook point.

    Raises:
        ValueError: there is none, or they act at different hook points.
    """

    def __init__(self, *terms: Intervention) -> None:
        super().__init__(_common_hook(terms))
        for number, term in enumerate(terms):
            self.add_module(str(number), term)

    def forward(self, x: Tensor) -> Tensor:
        deltas = [part.delta(x) for part in self.children() if isinstance(part, Intervention)]
        return x + torch.stack(deltas).sum(0).to(x.dtype)

    def config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def restore(
        cls, config: dict[str, Any], tensors: dict[str, Tensor], parts: dict[str, Part]
    ) -> Self:
        return cls(*(parts[name] for name in sorted(parts, key=int)))  # type: ignore[arg-type]


class Sequence(Intervention):
    """`first` before step `until`, `then` from it on.

    Args:
        first: acts on steps 0..until-1.
        then: acts on the others.
        until: a step, or one for each row; the number of steps means never. To change when
            the gate fires: :func:`~irl_lens.hooks.first_switch` of the gate.

    Raises:
        ValueError: different hook points; when run, a step beyond the sequence.
    """

    until: Tensor

    def __init__(
        self, first: Intervention, then: Intervention, until: int | Int[Tensor, " rows"]
    ) -> None:
        super().__init__(_common_hook((first, then)))
        self.first = first
        self.then = then
        self.register_buffer("until", torch.as_tensor(until).reshape(-1))

    def forward(self, x: Tensor) -> Tensor:
        """Applies ``first`` to the steps before ``until`` and ``then`` to the others."""
        axis = Axes.of(self.hook_name).step
        self._check(x, axis)
        steps = torch.arange(x.shape[axis], device=x.device) + self.offset
        early = steps < self.until.to(x.device).unsqueeze(-1)
        shape = [1] * x.ndim
        shape[0], shape[axis] = early.shape
        return torch.where(early.reshape(shape), self.first(x), self.then(x))

    def _check(self, x: Tensor, axis: int) -> None:
        if len(self.until) not in (1, x.shape[0]):
            raise ValueError(f"{len(self.until)} steps to change at, for {x.shape[0]} rows")
        low, high = int(self.until.min()), int(self.until.max())
        if low < 0 or (high > x.shape[axis] and not self.windowed):
            raise ValueError(
                f"to change at step {low if low < 0 else high}, in a sequence of "
                f"{x.shape[axis]} steps at {self.hook_name}; give 0..{x.shape[axis]}"
            )

    def config(self) -> dict[str, Any]:
        return {}


class Mask(Intervention):
    """Confines an intervention to rows and steps; elsewhere x is carried on bit for bit.

    Args:
        inner: the intervention.
        rows: rows of the batch, all if None.
        steps: steps of the sequence, all if None.
        where: a mask over rows (or one row for all) and steps, on top of both.

    Raises:
        ValueError: when run, at rows or steps outside the hooked tensor.
    """

    where: Tensor | None

    def __init__(
        self,
        inner: Intervention,
        rows: Iterable[int] | None = None,
        steps: Iterable[int] | None = None,
        where: Bool[Tensor, "rows steps"] | None = None,
    ) -> None:
        super().__init__(inner.hook_name)
        self.inner = inner
        self.address = Address.at(rows, steps)
        self.register_buffer("where", where)

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(self.mask(x), self.inner(x), x)

    def mask(self, x: Tensor) -> Bool[Tensor, "_ ..."]:
        """Returns where the intervention acts, in a shape that broadcasts to `x`."""
        mask = self.address.mask(x, self.hook_name, self.offset, self.windowed)
        if self.where is None:
            return mask
        axis = Axes.of(self.hook_name).step
        whole = self.where.reshape(
            [self.where.shape[(0, axis).index(i)] if i in (0, axis) else 1 for i in range(x.ndim)]
        )
        return mask & self.window(whole, x, axis)

    def config(self) -> dict[str, Any]:
        return {"rows": self.address.rows, "steps": self.address.steps}


def _common_hook(parts: Iterable[Intervention]) -> str:
    names = list(dict.fromkeys(part.hook_name for part in parts))
    if len(names) != 1:
        raise ValueError(
            f"interventions at {names or 'no hook point'}: only those at one hook point "
            "combine; attach the others beside"
        )
    return names[0]
