"""Interpolation: x <- (1 - weight) x + weight value."""

from __future__ import annotations

from typing import Any

from jaxtyping import Shaped
from torch import Tensor

from irl_lens.hooks.combinators.arithmetic import between
from irl_lens.hooks.patches.replace import ReplacePatch


class InterpolatePatch(ReplacePatch):
    """x <- (1 - weight) x + weight value.

    Args:
        value: value to move to, as :class:`ReplacePatch` takes it.
        hook_name: hook point that is patched.
        weight: 0 leaves x, 1 replaces it; beyond is extrapolation.
        **address: `rows`, `steps`, `heads`, `keys`, as of :class:`Patch`.

    Examples:
        >>> half = InterpolatePatch(torch.tensor(4.0), "hook_embed", weight=0.5)
        >>> half(torch.zeros(1, 2, 1)).flatten()
        tensor([2., 2.])
    """

    def __init__(
        self, value: Shaped[Tensor, "*_"], hook_name: str, weight: float, **address: Any
    ) -> None:
        super().__init__(value, hook_name, **address)
        self.weight = weight

    def replacement(self, x: Tensor) -> Tensor:
        return between(x, self.placed(self.value, x), self.weight)

    def config(self) -> dict[str, Any]:
        return {**super().config(), "weight": self.weight}
