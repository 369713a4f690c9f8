"""What an atlas describes: controllers by name, each with a placebo of the same norm.

    U = sum_k s_k w_k r_k^T,   placebo: the same s_k, w_k and r_k random and orthonormal

The placebo changes a random stream by as much as the controller does; only where it reads and
where it writes differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from irl_lens.analyses.codes import class_means
from irl_lens.envs.trajectories import Trajectories
from irl_lens.hooks import FullController, LinearDecoder, LowRankController, Spectrum
from irl_lens.models.causal import CausalHalf
from irl_lens.models.fast import FastPath
from irl_lens.models.trace import encode


@dataclass(frozen=True)
class Subject:
    """A controller.

    Attributes:
        name: Of the subgoal it is for.
        controller: The same at every position.
    """

    name: str
    controller: LowRankController | FullController

    @property
    def spectrum(self) -> Spectrum:
        """Its singular values, with what is read and written."""
        return self.controller.spectrum

    def placebo(self, generator: torch.Generator) -> LowRankController:
        """Draws a controller of the same singular values in random directions."""
        values, reads, writes = random_directions(self.spectrum, generator)
        return LowRankController(reads, (writes * values[:, None]).mT, self.controller.hook_name)


def random_directions(
    spectrum: Spectrum, generator: torch.Generator
) -> tuple[Float[Tensor, " k"], Float[Tensor, "k d_model"], Float[Tensor, "k d_model"]]:
    """Returns singular values, and as many random orthonormal directions read and written."""
    drawn = torch.randn(2, *spectrum.reads.mT.shape, generator=generator)
    reads, writes = torch.linalg.qr(drawn).Q.mT
    return spectrum.values, reads, writes


def code_subjects(
    meta: CausalHalf, base: FastPath, shown: Trajectories, names: Sequence[str]
) -> list[Subject]:
    """The controllers of the mean code of each abstract subgoal, where the gate opens.

    A subgoal that no switch began is left out.

    Args:
        meta: Makes the codes and controllers.
        base: The base it was trained on.
        shown: Demonstrations that the codes are taken from.
        names: Of the abstract subgoals.
    """
    trace = encode(meta, base, shown)
    means = class_means(trace.z[trace.switches], shown.subgoals[trace.switches], len(names))
    pairs = zip(names, torch.from_numpy(means).float(), strict=True)
    return [Subject(name, decoded(meta, z)) for name, z in pairs if z.isfinite().all()]


@torch.no_grad()
def decoded(meta: CausalHalf, code: Float[Tensor, " latent"]) -> LowRankController | FullController:
    """Returns the controller that a code stands for."""
    if isinstance(meta.decoder, LinearDecoder):
        return FullController.from_latent(meta.decoder, code, meta.hook_name)
    return LowRankController.from_latent(meta.decoder, code, meta.hook_name)
