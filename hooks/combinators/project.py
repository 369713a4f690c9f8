"""An intervention kept out of a subspace: of what it writes, or of what it reads.

    x <- x + (1 - P) delta(x)    writes        x <- x + delta((1 - P) x)    reads

P is the orthogonal projection on the subspace. For a linear controller these are (1 - P) U
and U (1 - P): take a direction away to see whether the controller works through it.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from irl_lens.hooks.combinators.arithmetic import Additive, common_hook
from irl_lens.hooks.core.intervention import Intervention
from irl_lens.hooks.core.subspace import check_independent, projection


class ProjectOut(Additive):
    """Removes a subspace from what an intervention writes or reads.

    Args:
        inner: the intervention.
        basis: vectors that span the subspace, [vectors, width], independent; they need not be
            orthonormal. A single vector, [width], is a direction. Gradients reach them.
        side: side that it is removed from, "writes" or "reads".

    Raises:
        ValueError: the vectors are dependent or the side is unknown; when run, the stream
            is not as wide as the vectors.

    Examples:
        >>> from irl_lens.hooks import VectorController
        >>> add = VectorController(torch.tensor([3.0, 4.0]), "hook")
        >>> ProjectOut(add, torch.tensor([0.0, 2.0]))(torch.zeros(1, 1, 2)).tolist()
        [[[3.0, 0.0]]]
    """

    basis: Tensor

    def __init__(
        self,
        inner: Intervention,
        basis: Float[Tensor, "*_"],
        side: str = "writes",
    ) -> None:
        super().__init__(common_hook((inner,)))
        if side not in ("writes", "reads"):
            raise ValueError(f"side {side!r}; there are 'writes' and 'reads'")
        self.inner, self.side = inner, side
        check_independent(torch.atleast_2d(basis))
        self.hold("basis", basis)

    def delta(self, x: Tensor) -> Tensor:
        if self.side == "reads":
            return self.inner.delta(self._without(x))
        return self._without(self.inner.delta(x))

    def _without(self, x: Tensor) -> Tensor:
        return x - projection(x, torch.atleast_2d(self.basis))

    def config(self) -> dict[str, Any]:
        return {"side": self.side}
