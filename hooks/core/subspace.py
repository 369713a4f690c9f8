"""Subspaces of an activation, given by vectors that span them.

    P x = Q Q^T x,   Q from the QR decomposition of the vectors

Q is a differentiable function of the vectors, so that a subspace can be trained.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from irl_lens.hooks.core.spectrum import precise


def check_independent(basis: Float[Tensor, "*_"]) -> None:
    """Raises ValueError unless the vectors span as many dimensions as there are of them.

    Args:
        basis: [vectors, width].

    Examples:
        >>> check_independent(torch.tensor([[1.0, 0.0], [1.0, 1.0]]))
    """
    if basis.ndim != 2:
        raise ValueError(f"the basis is {tuple(basis.shape)}; it must be [vectors, width]")
    vectors = precise(basis.detach())
    dimensions = int(torch.linalg.matrix_rank(vectors)) if len(vectors) else 0
    if dimensions < len(basis):
        raise ValueError(f"{len(basis)} vectors span {dimensions} dimensions; drop some")


def orthonormal(basis: Float[Tensor, "vectors width"]) -> Float[Tensor, "width vectors"]:
    """Returns orthonormal directions that span what the vectors span.

    Examples:
        >>> orthonormal(torch.tensor([[0.0, 2.0]])).abs().flatten()
        tensor([0., 1.])
    """
    return torch.linalg.qr(precise(basis).mT).Q


def projection(
    x: Shaped[Tensor, "*batch width"], basis: Float[Tensor, "vectors _width"]
) -> Float[Tensor, "*batch width"]:
    """Returns the component of `x` in the subspace, in at least float32.

    Raises:
        ValueError: `x` is not as wide as the vectors.

    Examples:
        >>> projection(torch.tensor([3.0, 4.0]), torch.tensor([[0.0, 2.0]]))
        tensor([0., 4.])
    """
    if x.shape[-1] != basis.shape[-1]:
        raise ValueError(
            f"the subspace is in {basis.shape[-1]} dimensions, the activation in "
            f"{x.shape[-1]}; give vectors as wide as the activation"
        )
    exact = precise(x)
    directions = orthonormal(basis.to(exact))
    return (exact @ directions) @ directions.mT
