"""Additive controllers: e <- e + v, a steering vector.

Not in the paper: the simplest controller, to hold the linear ones against.
"""

from __future__ import annotations

from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .controller import Controller


class VectorController(Controller):
    """e <- e + v, whatever e is.

    Args:
        v: what is added, in the stream's units.
        hook_name: where.
    """

    v: Tensor
    item_axes = 1

    def __init__(self, v: Float[Tensor, "*lead d_model"], hook_name: str) -> None:
        super().__init__(hook_name)
        self.hold("v", v)

    @classmethod
    def zeros(cls, d_model: int, hook_name: str, *, lead: tuple[int, ...] = ()) -> Self:
        """Returns trainable zero vectors: unlike a product of factors, zero trains."""
        return cls(nn.Parameter(torch.zeros(*lead, d_model)), hook_name)

    @property
    def d_model(self) -> int:
        return self.v.shape[-1]

    def delta(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        return self.aligned(self.v, x).expand_as(x)

    def mixture(
        self, x: Float[Tensor, "*batch d_model"], weights: Float[Tensor, "*batch n"]
    ) -> Float[Tensor, "*batch d_model"]:
        return weights @ self.v.to(x)
