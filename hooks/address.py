"""Which rows, steps and heads of a hooked tensor an intervention touches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

HEADED = ("hook_q", "hook_k", "hook_v", "hook_z", "hook_rot_q", "hook_rot_k", "hook_result")
PATTERNS = ("hook_pattern", "hook_attn_scores")


@dataclass(frozen=True)
class Axes:
    """Where TransformerLens keeps steps and heads; rows are always first."""

    step: int = 1
    head: int | None = None

    @classmethod
    def of(cls, hook_name: str) -> Axes:
        """Returns the axes of a hook point's tensor.

        Most are [rows, steps, width]; queries, keys, values and head outputs are
        [rows, steps, heads, width]; attention patterns [rows, heads, steps, steps attended].
        """
        last = hook_name.rsplit(".", 1)[-1]
        if last in PATTERNS:
            return cls(step=2, head=1)
        return cls(head=2) if last in HEADED else cls()


@dataclass(frozen=True)
class Address:
    """Rows, steps and heads, each a tuple of indices, None for all."""

    rows: tuple[int, ...] | None = None
    steps: tuple[int, ...] | None = None
    heads: tuple[int, ...] | None = None

    @classmethod
    def at(
        cls,
        rows: Iterable[int] | None = None,
        steps: Iterable[int] | None = None,
        heads: Iterable[int] | None = None,
    ) -> Address:
        """Returns the address of any iterables of indices."""
        return cls(*(None if i is None else tuple(map(int, i)) for i in (rows, steps, heads)))

    def mask(
        self, x: Tensor, hook_name: str, offset: int = 0, windowed: bool = False
    ) -> Bool[Tensor, "_ ..."]:
        """Returns what of `x` is addressed, in a shape that broadcasts to it.

        Args:
            x: the hooked tensor.
            hook_name: its hook point.
            offset: step of the sequence that `x` starts at.
            windowed: whether the sequence goes on after `x`.

        Raises:
            ValueError: an index outside `x`, or heads where there are none.
        """
        axes = Axes.of(hook_name)
        if self.heads is not None and axes.head is None:
            raise ValueError(f"heads {self.heads} at {hook_name}, which has no axis of heads")
        mask = torch.ones((1,) * x.ndim, dtype=torch.bool, device=x.device)
        if self.rows is not None:
            mask = mask & _along(x, 0, self.rows, "row", hook_name)
        if self.heads is not None and axes.head is not None:
            mask = mask & _along(x, axes.head, self.heads, "head", hook_name)
        if self.steps is not None:
            steps = [step - offset for step in self.steps]
            if windowed:
                steps = [step for step in steps if 0 <= step < x.shape[axes.step]]
            mask = mask & _along(x, axes.step, steps, "step", hook_name)
        return mask


def _along(
    x: Tensor, axis: int, indices: Iterable[int], what: str, hook_name: str
) -> Bool[Tensor, "_ ..."]:
    """Returns a mask along one axis of `x`, size 1 along the others."""
    selected = torch.zeros(x.shape[axis], dtype=torch.bool, device=x.device)
    for index in indices:
        if not 0 <= index < x.shape[axis]:
            raise ValueError(
                f"{what} {index} at {hook_name}, which has {x.shape[axis]} {what}s here; the "
                f"last is {x.shape[axis] - 1}"
            )
        selected[index] = True
    return selected.reshape([-1 if i == axis else 1 for i in range(x.ndim)])
