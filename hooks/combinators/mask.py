"""An intervention confined to rows and steps; :class:`~irl_lens.hooks.Together` to layers."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Shaped
from torch import Tensor

from irl_lens.hooks.combinators.arithmetic import Operators, common_hook
from irl_lens.hooks.core.address import Address, Axes, Indices, spread
from irl_lens.hooks.core.intervention import Intervention


class Mask(Operators):
    """Confines an intervention to rows and steps; elsewhere x is carried on bit for bit.

    Args:
        inner: the intervention.
        rows: rows of the batch, all if None.
        steps: steps of the sequence, all if None.
        where: a mask over rows (or one row for all) and steps, on top of both.

    Raises:
        ValueError: a mask that is none; when run, at rows or steps outside the hooked tensor.

    Examples:
        >>> from irl_lens.hooks import VectorController
        >>> add = VectorController(torch.ones(1), "hook")
        >>> Mask(add, rows=[1], steps=[0, 2])(torch.zeros(2, 3, 1)).squeeze(-1).tolist()
        [[0.0, 0.0, 0.0], [1.0, 0.0, 1.0]]
    """

    where: Tensor | None

    def __init__(
        self,
        inner: Intervention,
        rows: Indices | None = None,
        steps: Indices | None = None,
        where: Shaped[Tensor, "*_"] | None = None,
    ) -> None:
        super().__init__(common_hook((inner,)))
        self.inner = inner
        self.address = Address.at(rows, steps)
        if where is not None and (where.dtype != torch.bool or where.ndim != 2):
            raise ValueError(
                f"where is {where.dtype} {tuple(where.shape)}; give torch.bool [rows, steps], "
                "such as beta >= 0.5"
            )
        self.register_buffer("where", where)

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(self.mask(x), self.inner(x), x)

    def mask(self, x: Tensor) -> Bool[Tensor, "_ ..."]:
        """Returns where the intervention acts, in a shape that broadcasts to `x`.

        Examples:
            >>> from irl_lens.hooks import AblatePatch
            >>> Mask(AblatePatch("hook"), steps=[1]).mask(torch.zeros(4, 3, 8)).shape
            torch.Size([1, 3, 1])
        """
        mask = self.address.mask(x, self.hook_name, self.offset, self.windowed)
        if self.where is None:
            return mask
        axis = Axes.of(self.hook_name).step
        return mask & self.window(spread(self.where, x, (0, axis)), x, axis)

    def config(self) -> dict[str, Any]:
        return {"rows": self.address.rows, "steps": self.address.steps}
