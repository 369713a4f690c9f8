"""Low-rank linear controllers: e <- e + B A e, U = B A of rank r.

The paper's grid controllers (arXiv 2512.20605, Tables A8 and A9), r = 16.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn

from .controller import Controller

if TYPE_CHECKING:
    from transformer_lens import FactoredMatrix


class LowRankController(Controller):
    """e <- e + B (A e).

    Args:
        A: reads r coordinates from the stream.
        B: writes r directions to the stream.
        hook_name: where.

    Raises:
        ValueError: the shapes of A and B do not belong together.
    """

    A: Tensor
    B: Tensor

    def __init__(
        self,
        A: Float[Tensor, "*lead rank d_model"],
        B: Float[Tensor, "*lead d_model rank"],
        hook_name: str,
    ) -> None:
        super().__init__(hook_name)
        if A.shape != B.mT.shape:
            raise ValueError(
                f"A is {tuple(A.shape)} and B is {tuple(B.shape)}; A must be "
                "[.., rank, d_model] and B [.., d_model, rank], of the same rank and width"
            )
        self.hold("A", A)
        self.hold("B", B)

    @classmethod
    def random(
        cls,
        d_model: int,
        rank: int,
        hook_name: str,
        init: float = 0.1,
        *,
        lead: tuple[int, ...] = (),
        generator: torch.Generator | None = None,
    ) -> Self:
        """Returns trainable controllers with |U e| about `init` times |e|.

        A ~ N(0, 1/d) and B ~ N(0, init^2 / r): each of the r coordinates of A e has
        variance |e|^2 / d, so each of the d components of B A e has variance
        init^2 |e|^2 / d. Both factors are nonzero, and U is not tiny: from factors so
        small that |U e| is far below |e|, neither gets a gradient worth having.
        """
        A = torch.randn(*lead, rank, d_model, generator=generator) * d_model**-0.5
        B = torch.randn(*lead, d_model, rank, generator=generator) * init * rank**-0.5
        return cls(nn.Parameter(A), nn.Parameter(B), hook_name)

    @property
    def rank(self) -> int:
        """Rank r of U = B A."""
        return self.A.shape[-2]

    @property
    def d_model(self) -> int:
        return self.A.shape[-1]

    def delta(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        read = torch.einsum("...rd,...d->...r", self.aligned(self.A, x), x)
        return torch.einsum("...dr,...r->...d", self.aligned(self.B, x), read)

    def mixture(
        self, x: Float[Tensor, "*batch d_model"], weights: Float[Tensor, "*batch n"]
    ) -> Float[Tensor, "*batch d_model"]:
        read = torch.einsum("nrd,...d->...nr", self.A.to(x), x)
        return torch.einsum("ndr,...nr->...d", self.B.to(x), read * weights.unsqueeze(-1))

    @property
    def factored(self) -> FactoredMatrix:
        """U^T = A^T B^T as TransformerLens' FactoredMatrix: ``e @ factored.AB`` is U e.

        TransformerLens multiplies rows from the left, so this composes with its weights
        as they are: ``factored @ model.W_U`` is what the controller does to the logits.
        """
        from transformer_lens import FactoredMatrix

        return FactoredMatrix(self.A.mT, self.B.mT)
