"""Codes of segments on the frozen base, once it is known when to switch.

    L = mean over valid t of  [L_t(z_t) + alpha KL(N(mu_t, Sigma_t) || N(0, I))]
      + mean over valid t > 1 of  [-ln p(b_t | beta_t)]

L_t is -ln p(a_t | o_1..t, z_t), or what :mod:`irl_lens.training.explained` leaves of it where
codes need not explain every step (``codes.explained`` below 1). b_t marks the switches that were
found before (:mod:`irl_lens.training.segment_starts`), by a metacontroller or by a gate that
expects surprise. No label is used.

The last term, alone, trains the gate: it tells the switches from the layer that is now
controlled, and without a first metacontroller's codes, which a policy does not have. The
other two see segments between the switches b, and train encoder and decoder.

How likely a switch is says nothing about when to act on it: where the exact step is uncertain,
every step of a boundary may stay under 1/2. So beta is shifted at the end: 1/2 is where the gate,
which rests for a while after it opened, agrees best with the switches b on fresh demonstrations.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from irl_lens.config.schema import CodesConfig
from irl_lens.data.demonstrations import Demonstrations
from irl_lens.data.reused import ReusedDemonstrations
from irl_lens.envs.protocol import World
from irl_lens.errors import UserError
from irl_lens.models.fast import FastPath
from irl_lens.models.segments import SegmentMetacontroller, rested
from irl_lens.processes import own_rows, totals
from irl_lens.progress import Progress
from irl_lens.runs.parts import load_base
from irl_lens.runs.run import Run
from irl_lens.training.batches import Batch
from irl_lens.training.discovery import (
    CHECKED_AT_ONCE,
    kl_weight,
    measure,
    noise_of,
    steered_nll,
)
from irl_lens.training.explained import Explained
from irl_lens.training.loop import finish, train
from irl_lens.training.optimizers import SteeringOptimizer
from irl_lens.training.segment_starts import Switches, switches_of
from irl_lens.training.stages import trains
from irl_lens.training.switches import SwitchCounts

LEVELS_OF = 512
"""Demonstrations that the gate's level is found from."""
LEVELS = np.arange(1, 20) / 20
"""Probabilities of a switch from which a gate may open."""


@dataclass(frozen=True)
class Terms:
    """The terms of the loss on a batch.

    Of a batch that processes share, what its rows add to the means over all of it.

    Attributes:
        nll: Mean -ln p(action) over valid steps, under control, or what is left of it [nats].
        kl: Mean KL of the encoder to N(0, I) over valid steps [nats].
        gate: Mean -ln p of the switches to learn, the first step left out [nats].
        both: Switches of the gate that are among those.
        either: Its switches and those, counted together.
    """

    nll: Tensor
    kl: Tensor
    gate: Tensor
    both: int
    either: int


class CodesJob:
    """Trains codes of segments; a :class:`irl_lens.training.loop.Job`.

    Args:
        config: Sizes and schedule.
        world: Where demonstrations come from.
        base: The frozen base.
        switches: Where segments begin.
        seed: Seed of initialisation, demonstrations and noise.
    """

    def __init__(
        self,
        config: CodesConfig,
        world: World,
        base: FastPath,
        switches: Switches,
        seed: int,
    ) -> None:
        base.model.check_fits(world)
        self.config, self.world, self.base, self.seed = config, world, base, seed
        self.switches, self.steps = switches, config.steps
        stream = Demonstrations(world, seed, "codes", config.batch, config.epsilon)
        self.stream = ReusedDemonstrations(stream, self.steps, config.uses)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.meta = SegmentMetacontroller(config, base.model.d_model).to(base.device)
        self.optimizer = SteeringOptimizer(self.meta, config)

    def step(self, i: int) -> dict[str, float]:
        """One optimisation step; deterministic in (seed, i) and the state."""
        fraction = i / self.steps
        alpha = kl_weight(self.config.alpha, fraction)
        own = own_rows(self.config.batch)
        batch = Batch.of(self.stream[i], self.config.chunk, self.base.device, own)
        terms = self.terms(batch, i)
        self.optimizer.step(terms.nll + alpha * terms.kl + terms.gate, fraction)
        figures = {name: float(getattr(terms, name).detach()) for name in ("nll", "kl", "gate")}
        sums = totals({**figures, "both": terms.both, "either": terms.either})
        both, either = sums.pop("both"), sums.pop("either")
        # F1 of the gate's switches with those to learn
        agreement = {"agreement": 2 * both / either} if either else {}
        return sums | {"alpha": alpha} | agreement

    def terms(self, batch: Batch, i: int) -> Terms:
        """The terms of the loss on the batch of step ``i``."""
        streams = batch.residuals(self.base, (self.switches.layer, self.meta.layer))
        opened, stream = self.switches.marks(batch, streams), streams[self.meta.layer]
        logits = self.meta.switch_logits(stream)
        noise = noise_of(self.seed, "codes", i, batch, self.config.latent)
        codes = self.meta.segments(stream, batch.mask, opened, logits, noise)
        targets, explained = self.config.targets, self.explained(batch, stream)
        nll = steered_nll(self.meta, self.base, batch, stream, codes, targets, explained)
        later = batch.mask[:, 1:]
        told, wanted = logits[:, 1:][later], opened[:, 1:][later]
        gate = F.binary_cross_entropy_with_logits(told, wanted.float(), reduction="sum")
        fired = (rested(logits, self.config.refractory) >= 0)[:, 1:][later]
        return Terms(
            nll,
            codes.kl()[batch.mask].sum() / batch.tokens,
            gate / (batch.tokens - batch.shape[0]),
            int((fired & wanted).sum()),
            int(fired.sum() + wanted.sum()),
        )

    def explained(self, batch: Batch, stream: Tensor) -> Explained | None:
        """What a code need not explain of a batch; None if it has to explain everything."""
        share, targets = self.config.explained, self.config.targets
        if share == 1:
            return None
        return Explained(share, batch.step_nll(self.base, stream, self.meta.layer, targets))

    @torch.no_grad()
    def level(self) -> float:
        """The probability of a switch from which it agrees best with the switches to learn.

        Steps that the refractory time cannot tell apart count as the same. Of equals, the one
        nearest to 1/2.
        """
        config, counts = self.config, [SwitchCounts()] * len(LEVELS)
        drawn = min(LEVELS_OF, CHECKED_AT_ONCE)
        fresh = Demonstrations(self.world, self.seed, "codes-level", drawn, config.epsilon)
        for i in range(math.ceil(LEVELS_OF / drawn)):
            batch = Batch.of(fresh[i], config.chunk, self.base.device)
            streams = batch.residuals(self.base, (self.switches.layer, self.meta.layer))
            wanted = self.switches.marks(batch, streams).cpu().numpy()
            logits, mask = (
                self.meta.switch_logits(streams[self.meta.layer]),
                batch.trajectories.mask,
            )
            for k, level in enumerate(LEVELS):
                opened = rested(logits - math.log(level / (1 - level)), config.refractory) >= 0
                found = SwitchCounts.of(opened.cpu().numpy(), wanted, mask, config.refractory)
                counts[k] = counts[k] + found
        scores = [count.scores()["f1"] for count in counts]
        return float(max(zip(scores, -np.abs(LEVELS - 0.5), LEVELS, strict=True))[-1])

    def measure(self, rows: int) -> dict[str, float]:
        """Scores on at least ``rows`` fresh demonstrations, by its own gate."""
        return measure(self.meta, self.base, self.world, self.seed, "codes-check", rows)

    def state(self) -> dict[str, Tensor]:
        """Weights and optimiser."""
        return self.optimizer.state()

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Restores what :meth:`state` returned."""
        self.optimizer.load(tensors)


@trains("codes")
def learn_codes(run: Run, progress: Progress) -> None:
    """The stage ``codes``: learns codes of the segments between switches.

    Result: as that of the stage ``metacontroller``, of the new gate and codes, the
    ``threshold`` from which a gate of the old one counts as open, or its peaks count, and the
    ``level`` of the new one that beta was shifted by.

    Raises:
        CheckpointError: If what finds switches is not trained yet.
        UserError: If the preset has none to learn.
    """
    stage, config = run.stage("codes"), run.preset.codes
    if "codes" not in run.chain:
        raise UserError(
            "codes.steps is 0: the metacontroller keeps its own codes; to learn others, start a "
            "run with --set codes.steps=2000"
        )
    base = FastPath(load_base(run), run.preset.pretrain.precision)
    switches = switches_of(run, base)
    job = CodesJob(config, run.world, base, switches, run.seed)
    train(stage, job, progress)
    level = job.level()
    job.meta.open_from(level)
    measured = job.measure(run.preset.evaluation.trajectories)
    found = {"threshold": switches.threshold, "level": level}
    finish(stage, job.meta.state_dict(), measured | found)
