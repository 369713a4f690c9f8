"""Controllers as matrices: how far they are from commuting, and how much they compose.

    commutator   |U V - V U| / (2 |U| |V|)       0 if order is nothing, 1 at most
    composition  |V U| / (|V| |U|)               how much of what U writes V reads

in the Frobenius norm; the second as for attention heads (Elhage et al., A Mathematical
Framework for Transformer Circuits, 2021). Null of both: Q V Q^T in place of V, Q a random
rotation: the same spectrum, in no relation to U.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from irl_lens.analyses.stats.estimates import Estimate, step_mean
from irl_lens.envs.trajectories import Trajectories
from irl_lens.models.causal import CausalHalf
from irl_lens.models.fast import FastPath

Matrix = Float[Tensor, "d d"]


def matrix(meta: CausalHalf, code: Float[Tensor, " latent"]) -> Matrix:
    """Returns U(z), acting on column vectors, whichever the decoder."""
    identity = torch.eye(meta.decoder.d_model, device=meta.device)
    with torch.no_grad():
        return meta.decoder.delta(code.expand(len(identity), -1), identity).T.double()


def commutator(u: Matrix, v: Matrix) -> float:
    """See the module; 0 if either is zero."""
    return _share((u @ v - v @ u).norm(), 2 * u.norm() * v.norm())


def composition(first: Matrix, then: Matrix) -> float:
    """See the module; 0 if either is zero."""
    return _share((then @ first).norm(), then.norm() * first.norm())


def rotated(v: Matrix, generator: torch.Generator) -> Matrix:
    """Returns Q V Q^T with a random rotation Q."""
    q = torch.linalg.qr(torch.randn(v.shape, generator=generator, dtype=v.dtype)).Q.to(v.device)
    return q @ v @ q.T


@torch.no_grad()
def order_in_stream(
    base: FastPath, layer: int, u: Matrix, v: Matrix, demonstrations: Trajectories
) -> Estimate:
    """|(U V - V U) e| / |e|, mean over the steps of demonstrations.

    Args:
        base: The base model.
        layer: Whose stream e is.
        u: One controller.
        v: The other.
        demonstrations: What the base reads.
    """
    e = base.residual(base.tensor(demonstrations.observations), layer).double()
    apart = (e @ (u @ v - v @ u).T).norm(dim=-1) / e.norm(dim=-1)
    return step_mean(apart.cpu().numpy(), demonstrations.mask)


def _share(part: Tensor, whole: Tensor) -> float:
    return float(part / whole) if whole > 0 else 0.0
