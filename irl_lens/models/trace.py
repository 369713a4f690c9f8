"""What a trained metacontroller makes of demonstrations, as arrays for analyses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float

from irl_lens.arrays import NDArray
from irl_lens.envs.trajectories import Trajectories
from irl_lens.models.causal import THRESHOLD, CausalHalf, MetaCodes
from irl_lens.models.fast import FastPath


@dataclass(frozen=True)
class MetaTrace:
    """Codes and gates of every step, in the order of the trajectories; 0 on padding.

    Attributes:
        z: Integrated codes.
        beta: Soft gates; 1 at the first step.
        mu: Means of the encoder.
        log_sigma: Log standard deviations of the encoder.
        proposals: Codes proposed at each step (the means, or samples).
        mask: True on steps that happened.
    """

    z: Float[NDArray[np.float32], "rows steps latent"]
    beta: Float[NDArray[np.float32], "rows steps"]
    mu: Float[NDArray[np.float32], "rows steps latent"]
    log_sigma: Float[NDArray[np.float32], "rows steps latent"]
    proposals: Float[NDArray[np.float32], "rows steps latent"]
    mask: Bool[NDArray[np.bool_], "rows steps"]

    @property
    def switches(self) -> Bool[NDArray[np.bool_], "rows steps"]:
        """Where the hard gate opens: beta >= 0.5, the first step included."""
        return (self.beta >= THRESHOLD) & self.mask

    @property
    def switched(self) -> Float[NDArray[np.float32], "switches latent"]:
        """Codes at switches, one after the other."""
        return self.z[self.switches]

    def kl(self) -> Float[NDArray[np.float32], "rows steps"]:
        """KL(N(mu, sigma) || N(0, I)) of every step [nats]; 0 on padding."""
        terms = self.mu**2 + np.exp(2 * self.log_sigma) - 1 - 2 * self.log_sigma
        return np.where(self.mask, 0.5 * terms.sum(-1), 0.0).astype(np.float32)


def encode(
    meta: CausalHalf,
    base: FastPath,
    trajectories: Trajectories,
    seed: int | None = None,
    chunk: int = 256,
) -> MetaTrace:
    """Encodes demonstrations.

    Args:
        meta: The metacontroller.
        base: The base it was trained on.
        trajectories: What to encode.
        seed: Seed of the encoder's noise; its means are the proposals when not given.
        chunk: Rows at a time.

    Returns:
        The trace, rows in the order of ``trajectories``.
    """
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    starts = range(0, len(trajectories), chunk)
    parts = [_encode(meta, base, trajectories, slice(a, a + chunk), generator) for a in starts]
    mask = trajectories.mask
    names = {"codes": "z", "beta": "beta", "mu": "mu", "log_sigma": "log_sigma"}
    names["proposals"] = "proposals"
    joined = {new: torch.cat([getattr(part, old) for part in parts]) for old, new in names.items()}
    arrays = {name: values.cpu().numpy() for name, values in joined.items()}
    for values in arrays.values():
        values[~mask] = 0.0
    return MetaTrace(**arrays, mask=mask)


@torch.no_grad()
def _encode(
    meta: CausalHalf,
    base: FastPath,
    trajectories: Trajectories,
    rows: slice,
    generator: torch.Generator | None,
) -> MetaCodes:
    mask = base.tensor(trajectories.mask[rows])
    stream = base.residual(base.tensor(trajectories.observations[rows]), meta.layer)
    noise = None
    if generator is not None:
        noise = torch.randn(*mask.shape, meta.decoder.n_z, generator=generator).to(base.device)
    return meta(stream, mask, noise)
