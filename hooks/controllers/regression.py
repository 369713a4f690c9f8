"""The linear change that best takes activations to what they should have been.

    U = argmin sum_i |a_i - (b_i + U b_i)|^2 + ridge m |U|^2,   rank U <= r,   m = sum_i |b_i|^2 / d

Reduced-rank ridge regression (Izenman, J. Multivariate Analysis 1975), in closed form: with
any rank allowed, U is that of ridge regression; with r, it is that U projected on the r
principal directions of what it predicts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from irl_lens.hooks.core.activations import positions

if TYPE_CHECKING:
    from transformer_lens import ActivationCache


def regressed(
    cache_a: ActivationCache | Mapping[str, Tensor],
    cache_b: ActivationCache | Mapping[str, Tensor],
    hook_name: str,
    rank: int | None = None,
    valid: Bool[Tensor, "*_"] | None = None,
    ridge: float = 1e-3,
) -> tuple[Float[Tensor, "rank d_model"], Float[Tensor, "d_model rank"]]:
    """Returns factors A and B of U = B A, the columns of B orthonormal.

    Args:
        cache_a: activations that those of `b` should have been, row by row and step by step.
        cache_b: the activations.
        hook_name: hook point that they are from.
        rank: rank r of U; the width if None.
        valid: which rows and steps count, all if None.
        ridge: how much U is held back. 0 is least squares; what no activation reaches is left
            as it is then too.

    Raises:
        ValueError: caches that do not pair up, a rank beyond the width, a negative ridge.

    Examples:
        >>> U = torch.tensor([[0.0, 0.0, 2.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        >>> b = torch.randn(10, 5, 3)
        >>> A, B = regressed({"hook": b + b @ U.mT}, {"hook": b}, "hook", rank=1, ridge=0.0)
        >>> A.shape, torch.allclose(B @ A, U, atol=1e-5)
        (torch.Size([1, 3]), True)
    """
    a, b = (positions(cache, hook_name, valid) for cache in (cache_a, cache_b))
    if a.shape != b.shape:
        raise ValueError(
            f"{tuple(a.shape)} and {tuple(b.shape)} positions and widths at {hook_name}; the "
            "caches must be of the same rows, steps and model"
        )
    width = b.shape[1]
    rank = width if rank is None else rank
    if not 1 <= rank <= width or ridge < 0:
        raise ValueError(f"rank {rank}, ridge {ridge}; ranks are 1..{width}, a ridge is 0 or more")
    e, change = b.double(), a.double() - b.double()
    gram = e.mT @ e
    gram = gram + ridge * gram.diagonal().mean() * torch.eye(width).to(gram)
    W = torch.linalg.pinv(gram, hermitian=True) @ (e.mT @ change)
    # eigh puts the largest last.
    principal = torch.linalg.eigh(W.mT @ gram @ W).eigenvectors.flip(-1)[:, :rank]
    return (W @ principal).mT.to(b), principal.to(b)
