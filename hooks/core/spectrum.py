"""What a controller reads and writes: the singular value decomposition of its change.

    delta(e) = sum_k s_k w_k <r_k, e>,   U = sum_k s_k w_k r_k^T

U acts on columns, so its right singular vectors r_k are what is read and its left ones w_k
what is written. TransformerLens multiplies rows from the left: a controller's `factored`
holds U^T, where r_k is column k of ``factored.U`` and w_k column k of ``factored.V``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable


@dataclass(frozen=True)
class Spectrum:
    """Singular values, largest first, with the directions read and written.

    The sign of each pair of directions is arbitrary, and where a singular value is 0 so are
    the directions. Gradients pass through the values, and so through norm and effective rank,
    of any controller, where they are 0 for the zero controller; through the directions only
    where the singular values are all different and none is 0.

    Attributes:
        values: s_k.
        reads: r_k, orthonormal; zero for a controller that reads nothing.
        writes: w_k, orthonormal.

    Examples:
        >>> U = torch.tensor([[0.0, 3.0], [1.0, 0.0]])
        >>> spectrum = Spectrum.of(U)
        >>> spectrum.values.tolist()
        [3.0, 1.0]
        >>> spectrum.reads[0].abs().tolist(), spectrum.writes[0].abs().tolist()
        ([0.0, 1.0], [1.0, 0.0])
    """

    values: Float[Tensor, "*lead k"]
    reads: Float[Tensor, "*lead k d_model"]
    writes: Float[Tensor, "*lead k d_model"]

    @classmethod
    def of(cls, U: Float[Tensor, "*lead d_model d_model"]) -> Spectrum:
        """Returns the spectrum of a matrix, in float32 or its own higher precision.

        Examples:
            >>> Spectrum.of(2 * torch.eye(3)).values.tolist()
            [2.0, 2.0, 2.0]
        """
        W, S, Rh = torch.linalg.svd(precise(U), full_matrices=False)
        return cls(S, Rh, W.mT)

    @classmethod
    def of_product(
        cls, B: Float[Tensor, "*lead d_model rank"], A: Float[Tensor, "*lead rank d_model"]
    ) -> Spectrum:
        """Returns the spectrum of U = B A from its factors, without forming U.

        Examples:
            >>> A, B = torch.randn(2, 16), torch.randn(16, 2)
            >>> spectrum = Spectrum.of_product(B, A)
            >>> torch.allclose(spectrum.norm, (B @ A).norm())
            True
        """
        B, A = precise(B), precise(A)
        (Q_B, R_B), (Q_A, R_A) = torch.linalg.qr(B), torch.linalg.qr(A.mT)
        core = cls.of(R_B @ R_A.mT)
        reads, writes = core.reads @ Q_A.mT, core.writes @ Q_B.mT
        values = _OfProduct.apply(B, A, core.values.detach(), reads.detach(), writes.detach())
        return cls(values, reads, writes)

    @property
    def norm(self) -> Float[Tensor, "*lead"]:
        """Frobenius norm of U, the length of an added vector.

        Examples:
            >>> Spectrum.of(torch.tensor([[3.0, 0.0], [4.0, 0.0]])).norm.item()
            5.0
        """
        return self.values.norm(dim=-1)

    @property
    def effective_rank(self) -> Float[Tensor, "*lead"]:
        """exp(H(p)), p_k = s_k / sum_j s_j, H in nats (Roy and Vetterli, EUSIPCO 2007).

        From 1 for one direction to d_model for the identity; 0 for the zero controller.

        Examples:
            >>> round(Spectrum.of(torch.eye(3)).effective_rank.item(), 4)
            3.0
            >>> Spectrum.of(torch.zeros(3, 3)).effective_rank.item()
            0.0
        """
        total = self.values.sum(dim=-1, keepdim=True)
        p = self.values / torch.where(total != 0, total, 1)
        # Not torch.special.entr, whose slope is infinite at 0.
        rank = (-p * torch.where(p > 0, p, 1).log()).sum(dim=-1).exp()
        return torch.where(total.squeeze(-1) != 0, rank, 0)


class _OfProduct(torch.autograd.Function):
    """Singular values of B A, whose derivative is w_k^T d(B A) r_k.

    That of the decomposition they come from needs the inverses of both factors, and at the
    zero controller there are none.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(B: Tensor, A: Tensor, values: Tensor, reads: Tensor, writes: Tensor) -> Tensor:
        return values.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        B, A, _, reads, writes = inputs
        ctx.save_for_backward(B, A, reads, writes)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        B, A, reads, writes = ctx.saved_tensors
        sloped = slope.unsqueeze(-1) * writes
        return sloped.mT @ (reads @ A.mT), (sloped @ B).mT @ reads, None, None, None


def precise(tensor: Tensor) -> Tensor:
    """Returns the tensor in at least float32, which decompositions and means need.

    Examples:
        >>> precise(torch.ones(2, dtype=torch.bfloat16)).dtype
        torch.float32
    """
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def like(y: Tensor, x: Tensor) -> Tensor:
    """Returns `y` in the dtype of `x`, where integers, such as tokens, lose no fractions.

    Raises:
        ValueError: they would.

    Examples:
        >>> like(torch.tensor([2.0]), torch.tensor([7]))
        tensor([2])
        >>> like(torch.tensor([0.5]), torch.tensor([7]))
        Traceback (most recent call last):
        ValueError: fractions, where the model has torch.int64, such as tokens; act at hook_embed
    """
    if not torch.can_cast(y.dtype, x.dtype) and not torch.equal(y, y.round()):
        raise ValueError(
            f"fractions, where the model has {x.dtype}, such as tokens; act at hook_embed"
        )
    return y.to(x)
