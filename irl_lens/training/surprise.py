"""A gate that expects surprise: switches without labels, and without codes.

    s_t = -ln p(a_t | o_1..t)                                  surprise of the frozen base [nats]
    y_t = 1 where s_t is the largest of all at most ``reach`` steps away, and among the largest
          of the batch
    L   = mean over valid t > 1 of  -ln p(y_t | p_t)           p_t: the gate's, of e_1..t

A model that follows what a trajectory is after does not know what comes next where that changes
(boundaries of events as errors of prediction: Zacks et al., Psychological Bulletin 133, 2007). But
it is surprised by noise as well. The gate sees the stream, and not the action: it learns where
surprise is to be *expected*, which is at boundaries and not at noise, and is right more often
than what taught it.

The paper finds switches by the codes that they let through (arXiv 2512.20605, App. D). Where
actions are told by a direction, and an episode is long, codes learn directions first, which
change at any step; ``docs/lab-notebook.md`` has the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from irl_lens.config.schema import SwitchesConfig
from irl_lens.data.ahead import AheadDemonstrations
from irl_lens.data.demonstrations import Demonstrations
from irl_lens.envs.protocol import World
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import UserError
from irl_lens.files.tensors import (
    copy_weights,
    join_parts,
    pack_optimizer,
    split_parts,
    unpack_optimizer,
)
from irl_lens.models.fast import FastPath
from irl_lens.models.gates import CausalGate
from irl_lens.processes import own_rows, summed, totals
from irl_lens.progress import Progress
from irl_lens.runs.parts import load_base
from irl_lens.runs.run import Run
from irl_lens.training.batches import Batch
from irl_lens.training.discovery import CHECKED_AT_ONCE
from irl_lens.training.loop import finish, train
from irl_lens.training.optimizers import decay, take_step
from irl_lens.training.stages import trains
from irl_lens.training.switches import SwitchCounts, peaks, two_levels_of_odds

PEAKS_OF = 512
"""Demonstrations whose peaks the threshold is found from."""


class SurpriseJob:
    """Teaches a gate; a :class:`irl_lens.training.loop.Job`.

    Args:
        config: Sizes and schedule.
        world: Where demonstrations come from.
        base: The frozen base.
        seed: Seed of initialisation and demonstrations.
    """

    def __init__(self, config: SwitchesConfig, world: World, base: FastPath, seed: int) -> None:
        base.model.check_fits(world)
        self.config, self.world, self.base, self.seed = config, world, base, seed
        self.steps = config.steps
        stream = Demonstrations(world, seed, "switches", config.batch)
        self.stream = AheadDemonstrations(stream, self.steps)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.gate = CausalGate(config, base.model.d_model).to(base.device)
        self.optimizer = torch.optim.AdamW(
            self.gate.parameters(), config.lr, weight_decay=config.weight_decay, fused=True
        )

    def step(self, i: int) -> dict[str, float]:
        """One optimisation step; deterministic in (seed, i) and the state."""
        config = self.config
        own = own_rows(config.batch)
        batch = Batch.of(self.stream[i], config.chunk, self.base.device, own)
        loss = self.loss(batch)
        loss.backward()
        take_step(self.optimizer, [config.lr], decay(config.schedule, i / self.steps))
        return totals({"gate": float(loss.detach())})

    def loss(self, batch: Batch) -> Tensor:
        """Mean -ln p of the peaks of surprise over steps but the first [nats]."""
        stream = batch.residuals(self.base, (self.config.layer,))[self.config.layer]
        later = batch.mask[:, 1:]
        wanted = self.surprises(batch, stream)[:, 1:][later]
        told = self.gate(stream)[:, 1:][later]
        summed = F.binary_cross_entropy_with_logits(told, wanted.float(), reduction="sum")
        return summed / (batch.tokens - batch.shape[0])

    def surprises(self, batch: Batch, stream: Tensor) -> Bool[Tensor, "rows steps"]:
        """Where the base is surprised: the largest of those around, and of the batch."""
        config, mask = self.config, batch.mask.cpu().numpy()
        nll = batch.step_nll(self.base, stream, config.layer, config.targets)
        least = float(np.quantile(_of_all_rows(batch, nll), 1 - config.share))
        found = peaks(nll.cpu().numpy(), mask, config.reach, least)
        return torch.from_numpy(found).to(stream.device)

    def expected(self, purpose: str, rows: int) -> Iterator[tuple[Trajectories, np.ndarray]]:
        """At least so many demonstrations, and the gate's probability at each of their steps."""
        layer, drawn = self.config.layer, min(rows, CHECKED_AT_ONCE)
        stream = Demonstrations(self.world, self.seed, purpose, drawn)
        for i in range(math.ceil(rows / drawn)):
            batch = Batch.of(stream[i], self.config.chunk, self.base.device)
            logits = self.gate(batch.residuals(self.base, (layer,))[layer])
            yield batch.trajectories, torch.sigmoid(logits.detach()).cpu().numpy()

    def threshold(self) -> float:
        """What tells peaks that are switches from others: best splits their log odds in two."""
        heights = []
        for drawn, expected in self.expected("switches-threshold", PEAKS_OF):
            found = peaks(expected, drawn.mask, self.config.reach, 0.0)
            heights.append(expected[:, 1:][found[:, 1:]])
        return two_levels_of_odds(np.concatenate(heights))

    def measure(self, rows: int, threshold: float) -> dict[str, float]:
        """Scores of its peaks on fresh demonstrations, where the world has labels."""
        counts = []
        for drawn, expected in self.expected("switches-check", rows):
            if drawn.subgoals is None:
                return {}
            found = peaks(expected, drawn.mask, self.config.reach, threshold)
            counts.append(SwitchCounts.of(found, drawn.boundaries(), drawn.mask, drawn.tolerance))
        return sum(counts, SwitchCounts()).scores()

    def state(self) -> dict[str, Tensor]:
        """Weights and optimiser."""
        return join_parts(gate=self.gate.state_dict(), optimizer=pack_optimizer(self.optimizer))

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Restores what :meth:`state` returned."""
        parts = split_parts(tensors, "gate", "optimizer")
        copy_weights(self.gate.state_dict(), parts["gate"], "the checkpoint")
        unpack_optimizer(self.optimizer, parts["optimizer"])


def _of_all_rows(batch: Batch, nll: Float[Tensor, "rows steps"]) -> Float[np.ndarray, " tokens"]:
    """Each step's -ln p, of the steps of all processes that share the batch."""
    whole = nll.new_zeros(2, *batch.shape)
    own = whole[:, batch.own, : nll.shape[1]]
    own[0], own[1] = nll, batch.mask
    values, mask = summed([whole])[0].cpu().numpy()
    return values[mask > 0]


@trains("switches")
def learn_switches(run: Run, progress: Progress) -> None:
    """The stage ``switches``: teaches a gate where the base will be surprised.

    Result: the ``threshold`` from which its peaks count, and their scores against true boundaries.

    Raises:
        CheckpointError: If the base is not trained yet.
        UserError: If the preset has a metacontroller discover switches.
    """
    stage = run.stage("switches")
    if "switches" not in run.chain:
        raise UserError(
            "switches.steps is 0: a metacontroller discovers switches; to find them by the base's "
            "surprise, start a run with --set switches.steps=500 codes.steps=2000"
        )
    base = FastPath(load_base(run), run.preset.pretrain.precision)
    job = SurpriseJob(run.preset.switches, run.world, base, run.seed)
    train(stage, job, progress)
    threshold = job.threshold()
    measured = job.measure(run.preset.evaluation.trajectories, threshold)
    finish(stage, job.gate.state_dict(), {"threshold": threshold} | measured)
