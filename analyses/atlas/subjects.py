"""What an atlas describes: controllers by name, each with a placebo of the same norm.

    U = sum_k s_k w_k r_k^T,   placebo: the same s_k, w_k and r_k random and orthonormal

The placebo changes a random stream by as much as the controller does; only where it reads and
where it writes differ. Controllers come from codes where the gate opens, by the mean of each
subgoal's or by clusters that know no subgoal, or from supervised training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from sklearn.cluster import KMeans
from torch import Tensor

from irl_lens.analyses.core.label_controllers import decoded
from irl_lens.analyses.core.switch_codes import SwitchCodes, class_means
from irl_lens.hooks import (
    Controller,
    ControllerBank,
    LowRankController,
    Spectrum,
    VectorController,
)
from irl_lens.models.causal import CausalHalf


@dataclass(frozen=True)
class Subject:
    """A controller.

    Attributes:
        name: What it is called.
        own: The subgoal it is for.
        controller: The same at every position.
        code: What it was decoded from, if it was.
    """

    name: str
    own: int
    controller: Controller
    code: Float[Tensor, " latent"] | None = None

    @property
    def spectrum(self) -> Spectrum:
        """Its singular values, with what is read and written."""
        return self.controller.spectrum

    def placebo(self, generator: torch.Generator) -> LowRankController | VectorController:
        """Draws a controller of the same singular values in random directions."""
        values, reads, writes = random_directions(self.spectrum, generator)
        if self.controller.constant:
            return VectorController(values[0] * writes[0], self.controller.hook_name)
        return LowRankController(reads, (writes * values[:, None]).mT, self.controller.hook_name)


def random_directions(
    spectrum: Spectrum, generator: torch.Generator
) -> tuple[Float[Tensor, " k"], Float[Tensor, "k d_model"], Float[Tensor, "k d_model"]]:
    """Returns singular values, and as many random orthonormal directions read and written.

    What reads nothing of the stream, such as a vector that is added, goes on reading nothing.
    """
    drawn = torch.randn(2, *spectrum.reads.mT.shape, generator=generator)
    reads, writes = torch.linalg.qr(drawn).Q.mT.to(spectrum.reads.device)
    return spectrum.values, reads * (spectrum.reads != 0).any(dim=-1, keepdim=True), writes


def code_subjects(
    meta: CausalHalf, switch_codes: SwitchCodes, names: Sequence[str]
) -> list[Subject]:
    """The controllers of the mean code of each abstract subgoal; of those that have codes.

    Args:
        meta: Makes controllers of codes.
        switch_codes: The codes.
        names: Names of the abstract subgoals.
    """
    means = class_means(switch_codes.codes, switch_codes.labels, len(names))
    means = torch.from_numpy(means).float().to(meta.device)
    known = [own for own, code in enumerate(means) if code.isfinite().all()]
    return [Subject(names[own], own, decoded(meta, means[own]), means[own]) for own in known]


def cluster_subjects(
    meta: CausalHalf, switch_codes: SwitchCodes, names: Sequence[str], clusters: int, seed: int = 0
) -> list[Subject]:
    """The controllers of the centres of clusters of codes, found without their subgoals.

    Each is named after its commonest subgoal, and after how common it is.

    Args:
        meta: Makes controllers of codes.
        switch_codes: The codes.
        names: Names of the abstract subgoals.
        clusters: How many; no more than there are different codes.
        seed: Seed of the clustering.
    """
    clusters = min(clusters, len(np.unique(switch_codes.codes, axis=0)))
    fit = KMeans(clusters, n_init=4, random_state=seed).fit(switch_codes.codes)  # type: ignore
    subjects = []
    for number, centre in enumerate(torch.from_numpy(fit.cluster_centers_).float().to(meta.device)):
        counts = np.bincount(switch_codes.labels[fit.labels_ == number], minlength=len(names))
        own = int(counts.argmax())
        name = f"cluster {number + 1} ({counts[own] / counts.sum():.0%} {names[own]})"
        subjects.append(Subject(name, own, decoded(meta, centre), centre))
    return subjects


def bank_subjects(bank: ControllerBank) -> list[Subject]:
    """Supervised controllers of abstract subgoals, in their order."""
    return [Subject(name, own, bank[name]) for own, name in enumerate(bank)]
