"""Codes of segments on the frozen base, once it is known when to switch.

    L = mean over valid t of  [-ln p(a_t | o_1..t, z_t) + alpha KL(N(mu_t, Sigma_t) || N(0, I))]
      + mean over valid t > 1 of  [-ln p(b_t | beta_t)]

b_t marks the switches of the metacontroller that discovery has trained: its gates above the
threshold that best splits them in two (:func:`irl_lens.training.switches.two_levels`). How far
a soft gate opens says little: what a half-open gate lets through is made up for by a stronger
decoder, so it is not 1/2 but the gap between two levels that tells open from closed. No label
is used.

The last term, alone, trains the gate: it tells the switches from the layer that is now
controlled, and without the first metacontroller's codes, which a policy does not have. The
other two see segments between the switches b, and train encoder and decoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from irl_lens.config.schema import CodesConfig
from irl_lens.data.demonstrations import Demonstrations
from irl_lens.data.reused import ReusedDemonstrations
from irl_lens.envs.protocol import World
from irl_lens.errors import UserError
from irl_lens.models.fast import FastPath
from irl_lens.models.metacontroller import Metacontroller
from irl_lens.models.segments import SegmentMetacontroller
from irl_lens.models.trace import encode
from irl_lens.processes import own_rows, totals
from irl_lens.progress import Progress
from irl_lens.runs.parts import load_base, load_discovered
from irl_lens.runs.run import Run
from irl_lens.training.batches import Batch
from irl_lens.training.discovery import kl_weight, measure, noise_of, steered_nll
from irl_lens.training.loop import finish, train
from irl_lens.training.optimizers import SteeringOptimizer
from irl_lens.training.stages import trains
from irl_lens.training.switch_search import DiscoveredSwitches, SearchedSwitches, Switches
from irl_lens.training.switches import two_levels

GATES_OF = 512
"""Demonstrations whose gates the threshold is found from."""


@dataclass(frozen=True)
class Terms:
    """The terms of the loss on a batch.

    Of a batch that processes share, what its rows add to the means over all of it.

    Attributes:
        nll: Mean -ln p(action) over valid steps, under control [nats].
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
        discovered: The frozen metacontroller whose switches are used; None if they are searched.
        seed: Seed of initialisation, demonstrations and noise.
    """

    def __init__(
        self,
        config: CodesConfig,
        world: World,
        base: FastPath,
        discovered: Metacontroller | None,
        seed: int,
    ) -> None:
        base.model.check_fits(world)
        self.config, self.world, self.base, self.seed = config, world, base, seed
        self.steps = config.steps
        stream = Demonstrations(world, seed, "codes", config.batch, config.epsilon)
        self.stream = ReusedDemonstrations(stream, self.steps, config.uses)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.meta = SegmentMetacontroller(config, base.model.d_model).to(base.device)
        self.optimizer = SteeringOptimizer(self.meta, config)
        self.switches: Switches = SearchedSwitches(config, base, self.meta)
        if discovered is not None:
            self.switches = DiscoveredSwitches(discovered, self._threshold(discovered))

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

    def _threshold(self, discovered: Metacontroller) -> float:
        """What tells the open gates of demonstrations from the closed ones."""
        epsilon = self.config.epsilon
        sample = Demonstrations(self.world, self.seed, "codes-threshold", GATES_OF, epsilon)[0]
        trace = encode(discovered, self.base, sample)
        return two_levels(trace.beta[:, 1:][trace.mask[:, 1:]])

    def terms(self, batch: Batch, i: int) -> Terms:
        """The terms of the loss on the batch of step ``i``."""
        streams = batch.residuals(self.base, (*self.switches.layers, self.meta.layer))
        stream = streams[self.meta.layer]
        logits = self.meta.switch_logits(stream)
        opened, wanted = self.switches.marks(batch, streams, logits.detach(), i / self.steps)
        noise = noise_of(self.seed, "codes", i, batch, self.config.latent)
        codes = self.meta.segments(stream, batch.mask, opened, logits, noise)
        nll = steered_nll(self.meta, self.base, batch, stream, codes, self.config.targets)
        later = batch.mask[:, 1:]
        told, wanted = logits[:, 1:][later], wanted[:, 1:][later]
        gate = F.binary_cross_entropy_with_logits(told, wanted.float(), reduction="sum")
        fired = told >= 0
        return Terms(
            nll,
            codes.kl()[batch.mask].sum() / batch.tokens,
            gate / (batch.tokens - batch.shape[0]),
            int((fired & wanted).sum()),
            int(fired.sum() + wanted.sum()),
        )

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
    """The stage ``codes``: learns codes of the segments that discovery has found.

    Result: as that of the stage ``metacontroller``, of the new gate and codes, and, where that
    was trained before, the ``threshold`` from which its gate counts as open.

    Raises:
        CheckpointError: If the metacontroller is not trained yet.
        UserError: If the preset has none to learn.
    """
    stage, config = run.stage("codes"), run.preset.codes
    if "codes" not in run.chain:
        raise UserError(
            "codes.steps is 0: the metacontroller keeps its own codes; to learn others, start a "
            "run with --set codes.steps=2000"
        )
    base = FastPath(load_base(run), run.preset.pretrain.precision)
    discovered = load_discovered(run) if "metacontroller" in run.chain else None
    job = CodesJob(config, run.world, base, discovered, run.seed)
    train(stage, job, progress)
    measured = job.measure(run.preset.evaluation.trajectories)
    finish(stage, job.meta.state_dict(), measured | job.switches.result)
