"""Settings of CompILE, a baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from irl_lens.config.ranges import Range
from irl_lens.config.value_types import (
    Decay,
    LearningRate,
    Rows,
    Schedule,
    Steps,
    Targets,
    Temperature,
    Width,
)
from irl_lens.envs.protocol import MAX_HORIZON


@dataclass(frozen=True)
class CompileConfig:
    """CompILE (Kipf et al. 2019), a baseline of the paper's Fig. 8; :mod:`irl_lens.models.compile`.

    Segments, rate and size of the code are the paper's, the weights of both divergences those of
    the authors' released code; the rest is not stated.
    """

    segments: Annotated[int, Range(1, 64)] = 4
    """M, segments of a demonstration; those at its end may be empty."""
    rate: Annotated[float, Range(0, MAX_HORIZON, above=True)] = 10.0
    """Steps of a segment, as the Poisson prior of where it ends has them."""
    latent: Width = 8
    """Entries of a code."""
    hidden: Width = 256
    """Width of the recurrent reader of demonstrations, and of the termination."""
    width: Width = 256
    """Width of the policy of a code."""
    temperature: Temperature = 1.0
    """Of the relaxed positions of boundaries."""
    kl_codes: Annotated[float, Range(0, 1e6)] = 0.1
    """Weight of the divergence of codes from their prior."""
    kl_boundaries: Annotated[float, Range(0, 1e6)] = 0.1
    """Weight of the divergence of boundaries from theirs."""
    steps: Steps = 64_000
    """Steps of the optimiser."""
    batch: Rows = 512
    """Trajectories a step."""
    lr: LearningRate = 1e-3
    """Learning rate."""
    weight_decay: Decay = 0.03
    """Weight decay."""
    schedule: Schedule = "constant"
    """How the learning rate goes."""
    targets: Targets = "actions"
    """What is imitated: the actions taken, or the expert's probabilities of them."""
