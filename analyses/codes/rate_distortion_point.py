"""Rate, distortion and alignment of what one run discovered, on given demonstrations.

See :mod:`irl_lens.analyses.codes.rate_distortion`, which compares runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from irl_lens.analyses.core.demonstrations import action_nll, pieces
from irl_lens.analyses.gate.boundary_f1 import score_gate
from irl_lens.analyses.gate.event_scores import later
from irl_lens.analyses.stats.estimates import Estimate, mean, step_mean
from irl_lens.arrays import NDArray
from irl_lens.envs.trajectories import Trajectories
from irl_lens.hooks import CodeController
from irl_lens.models.causal import CausalHalf
from irl_lens.models.fast import FastPath
from irl_lens.models.trace import MetaTrace, encode
from irl_lens.runs.run import Run
from irl_lens.training.switches import SwitchCounts, two_levels


@dataclass(frozen=True)
class Point:
    """One run.

    Attributes:
        run: Its folder's name.
        seed: Its seed.
        alpha: Weight of the rate at the end of training.
        cotrained: Whether its base was trained too.
        rate: [nats a step].
        distortion: [nats a step].
        without: Distortion of its base without codes.
        switches: Switches of the hard gate (beta >= 1/2) an episode, the forced first one left out.
        f1: F1 of these against true boundaries, at the exact step.
        null: The same with switches moved round: mean, and central 95 % of the draws.
        split: F1 with the threshold that best splits the gates in two, as a half-open gate
            may be as regular as an open one.
    """

    run: str
    seed: int
    alpha: float
    cotrained: bool
    rate: Estimate
    distortion: Estimate
    without: Estimate
    switches: Estimate
    f1: Estimate
    null: Estimate
    split: float

    @property
    def beyond(self) -> float:
        """F1 over that of the switches moved round."""
        return self.f1.value - self.null.value

    @property
    def aligned(self) -> bool:
        """Whether the gate finds boundaries better than its switches moved round would."""
        return self.f1.low > self.null.high


def measure(run: Run, sample: Trajectories, seed: int = 0) -> Point:
    """Measures one run.

    Args:
        run: A run whose discovery is done.
        sample: Demonstrations.
        seed: Seed of the codes, which are drawn as in training, and of the null.
    """
    parts = run.fresh()  # let go of afterwards: a sweep may have many runs
    base, meta = parts.fast, parts.discovered
    trace, mask, true = encode(meta, base, sample, seed), sample.mask, sample.boundaries()
    scores = score_gate(trace.switches, true, mask, seed, tolerance=sample.tolerance)
    beta = trace.beta
    split = (beta >= two_levels(beta[:, 1:][mask[:, 1:]])) & mask
    return Point(
        run.folder.name,
        run.seed,
        max(run.preset.discovery.alpha)[1],
        run.cotrained,
        step_mean(trace.kl(), mask),
        step_mean(controlled_nll(meta, base, sample, trace), mask),
        step_mean(action_nll(base, sample), mask),
        mean(later(trace.switches, mask).sum(axis=1)),
        scores.f1,
        scores.f1_null,
        SwitchCounts.of(split, true, mask, sample.tolerance).scores()["f1"],
    )


@torch.no_grad()
def controlled_nll(
    meta: CausalHalf, base: FastPath, sample: Trajectories, trace: MetaTrace
) -> Float[NDArray[np.float32], "n steps"]:
    """-ln p(action) of every step [nats] under the controllers of a trace's codes."""
    values = np.zeros(sample.mask.shape, np.float32)
    for index, piece in pieces(sample):
        steps = piece.mask.shape[1]
        codes = base.tensor(trace.z[index, :steps])
        hooks = CodeController(meta.decoder, codes, meta.hook_name).fwd_hooks()
        outputs = base.logits(base.tensor(piece.observations), fwd_hooks=hooks)
        actions = base.tensor(piece.actions)
        values[index, :steps] = base.action_head.nll(outputs, actions).cpu().numpy()
    return np.where(sample.mask, values, 0)
