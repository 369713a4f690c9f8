"""What a controller reads and writes: the singular value decomposition of its change.

    delta(e) = sum_k s_k w_k <r_k, e>,   U = sum_k s_k w_k r_k^T

U acts on columns, so its right singular vectors r_k are what is read and its left ones w_k
what is written. TransformerLens multiplies rows from the left: a controller's `factored`
holds U^T, where r_k is column k of ``factored.U`` and w_k column k of ``factored.V``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Spectrum:
    """Singular values, largest first, with the directions read and written.

    The sign of each pair of directions is arbitrary, and where a singular value is 0 so are
    the directions.

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
        (Q_B, R_B), (Q_A, R_A) = torch.linalg.qr(precise(B)), torch.linalg.qr(precise(A).mT)
        core = cls.of(R_B @ R_A.mT)
        return cls(core.values, core.reads @ Q_A.mT, core.writes @ Q_B.mT)

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
        p = self.values / torch.where(total > 0, total, 1)
        rank = torch.special.entr(p).sum(dim=-1).exp()
        return torch.where(total.squeeze(-1) > 0, rank, 0)


def precise(tensor: Tensor) -> Tensor:
    """Returns the tensor in at least float32, which decompositions and means need.

    Examples:
        >>> precise(torch.ones(2, dtype=torch.bfloat16)).dtype
        torch.float32
    """
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
