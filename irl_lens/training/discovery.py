"""Unsupervised discovery of abstract actions: the metacontroller on the frozen base.

    L = mean over valid t of  -ln p(a_t | o_1..t, z_1..t) + alpha * KL(N(mu_t, Sigma_t) || N(0, I))

(arXiv 2512.20605, section D of its methods, Table A9). The KL is charged at every valid step,
is not multiplied by beta, and nothing else acts on beta, which stays soft. The paper sums over
t; dividing by the number of valid steps of the batch rescales the whole loss, not alpha.

alpha follows the configuration's knots: with the full weight from the start the posterior
collapses onto the prior and stays there, so small runs let it rise.

With a learning rate of its own (``base_lr``) the base is trained too, by the same loss (the
paper's comparison in Fig. 7), from where the run's base stage left it; ``pretrain.steps=0``
leaves it at its initial weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from irl_lens.config.schema import DiscoveryConfig
from irl_lens.config.value_types import Targets
from irl_lens.data.ahead import AheadDemonstrations
from irl_lens.data.demonstrations import Demonstrations, stream_seed
from irl_lens.envs.protocol import World
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import UserError
from irl_lens.files.tensors import join_parts
from irl_lens.models.causal import THRESHOLD, CausalHalf, MetaCodes
from irl_lens.models.fast import FastPath
from irl_lens.models.metacontroller import Metacontroller
from irl_lens.processes import own_rows, totals
from irl_lens.progress import Progress
from irl_lens.runs.parts import load_pretrained
from irl_lens.runs.run import Run
from irl_lens.training.batches import Batch, WholeBatch
from irl_lens.training.explained import Explained
from irl_lens.training.loop import finish, train
from irl_lens.training.optimizers import SteeringOptimizer
from irl_lens.training.stages import trains
from irl_lens.training.switches import SwitchCounts

CHECKED_AT_ONCE = 64
"""Demonstrations in one batch of a measurement."""


def kl_weight(knots: Sequence[tuple[float, float]], fraction: float) -> float:
    """alpha at a fraction of training: linear in log alpha between knots, flat outside them.

    Raises:
        ValueError: An alpha of 0 among several knots, whose logarithm is not finite.
    """
    fractions, alphas = zip(*sorted(knots), strict=True)
    if len(knots) == 1:
        return alphas[0]
    if min(alphas) <= 0:
        raise ValueError(f"alpha knots {tuple(knots)}: give one knot, or positive alphas only")
    return math.exp(float(np.interp(fraction, fractions, np.log(alphas))))


@dataclass(frozen=True)
class Terms:
    """The two terms of the loss on a batch, and its switches.

    Of a batch that processes share, what its rows add to the means over all of it.

    Attributes:
        nll: Mean -ln p(action) over valid steps, under control [nats].
        kl: Mean KL of the encoder to N(0, I) over valid steps [nats].
        switches: Hard switches against true boundaries; None where the world has no labels.
        tokens: Valid steps.
    """

    nll: Tensor
    kl: Tensor
    switches: SwitchCounts | None
    tokens: int


def steered_nll(
    meta: CausalHalf,
    base: FastPath,
    batch: Batch,
    stream: Float[Tensor, "rows steps d_model"],
    codes: MetaCodes,
    targets: Targets = "actions",
    explained: Explained | None = None,
) -> Float[Tensor, ""]:
    """Mean -ln p(action) over valid steps [nats] with e_t + U(z_t) e_t in the place of e_t.

    With ``explained``, steps cost what that leaves of it.
    """
    valid = batch.valid
    near = base.dtype == torch.bfloat16
    with torch.autocast(stream.device.type, torch.bfloat16) if near else nullcontext():
        delta = meta.decoder.delta(codes.codes.flatten(0, 1)[valid], stream.flatten(0, 1)[valid])
    return batch.nll(base, batch.add(stream, delta), meta.layer, targets, explained)


def evaluate(
    meta: CausalHalf,
    base: FastPath,
    batch: Batch,
    noise: Tensor | None,
    targets: Targets = "actions",
) -> Terms:
    """Runs base and metacontroller over a batch; ``noise`` None takes the encoder's means."""
    stream = batch.residuals(base, (meta.layer,))[meta.layer]
    codes = meta(stream, batch.mask, noise)
    nll = steered_nll(meta, base, batch, stream, codes, targets)
    counts = _switches(codes, batch.trajectories)
    return Terms(nll, codes.kl()[batch.mask].sum() / batch.tokens, counts, len(batch.valid))


def _switches(codes: MetaCodes, truth: Trajectories) -> SwitchCounts | None:
    if truth.subgoals is None:
        return None
    opened = (codes.beta.detach() >= THRESHOLD).cpu().numpy()
    return SwitchCounts.of(opened, truth.boundaries(), truth.mask, truth.tolerance)


@torch.no_grad()
def measure(
    meta: CausalHalf, base: FastPath, world: World, seed: int, purpose: str, rows: int
) -> dict[str, float]:
    """Scores on at least ``rows`` fresh demonstrations; ``nll_without`` is the base's own.

    Switches are scored where the world has labels.
    """
    fresh = Demonstrations(world, seed, purpose, CHECKED_AT_ONCE)
    sums, tokens, counts = torch.zeros(3), 0, []
    for i in range(math.ceil(rows / CHECKED_AT_ONCE)):
        batch = Batch.of(fresh[i], device=base.device)
        terms = evaluate(meta, base, batch, noise_of(seed, purpose, i, batch, meta.decoder.n_z))
        without = batch.nll(base, batch.residuals(base, (meta.layer,))[meta.layer], meta.layer)
        sums += torch.stack([terms.nll, without, terms.kl]).cpu() * terms.tokens
        tokens += terms.tokens
        counts += [terms.switches] if terms.switches else []
    means = (sums / tokens).tolist()
    scores = sum(counts, SwitchCounts()).scores() if counts else {}
    return dict(zip(("nll", "nll_without", "kl"), means, strict=True)) | scores


def noise_of(
    seed: int, purpose: str, i: int, batch: Batch, latent: int
) -> Float[Tensor, "rows steps latent"]:
    """The encoder's noise for the ``i``-th batch of a purpose, drawn for all of its rows."""
    draw = np.random.SeedSequence(stream_seed(seed, f"{purpose}-noise", i))
    generator = torch.Generator().manual_seed(int(draw.generate_state(1)[0]))
    noise = torch.randn(*batch.shape, latent, generator=generator)
    return noise[batch.own, : batch.mask.shape[1]].to(batch.mask.device)


class DiscoveryJob:
    """Trains a metacontroller; a :class:`irl_lens.training.loop.Job`.

    Args:
        config: Sizes and schedule.
        world: Where demonstrations come from.
        base: The frozen base; trained in place if it has a rate.
        seed: Seed of initialisation, demonstrations and noise.
    """

    def __init__(self, config: DiscoveryConfig, world: World, base: FastPath, seed: int) -> None:
        base.model.check_fits(world)
        self.config, self.world, self.base, self.seed = config, world, base, seed
        self.steps = config.steps
        stream = Demonstrations(world, seed, "discovery", config.batch, config.epsilon)
        self.stream = AheadDemonstrations(stream, self.steps)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.meta = Metacontroller(config, base.model.d_model).to(base.device)
        trained = base.model.requires_grad_(True) if config.base_lr else None
        self.optimizer = SteeringOptimizer(self.meta, config, trained, config.base_lr)
        self.batches = WholeBatch if config.base_lr else Batch

    def step(self, i: int) -> dict[str, float]:
        """One optimisation step; deterministic in (seed, i) and the state."""
        alpha = kl_weight(self.config.alpha, i / self.steps)
        own = own_rows(self.config.batch)
        batch = self.batches.of(self.stream[i], device=self.base.device, own=own)
        noise = noise_of(self.seed, "discovery", i, batch, self.config.latent)
        terms = evaluate(self.meta, self.base, batch, noise, self.config.targets)
        self.optimizer.step(terms.nll + alpha * terms.kl, i / self.steps)
        figures = totals({"nll": float(terms.nll.detach()), "kl": float(terms.kl.detach())})
        scores = terms.switches.of_all_processes().scores() if terms.switches else {}
        return figures | {"alpha": alpha} | scores

    def measure(self, rows: int) -> dict[str, float]:
        """Scores on at least ``rows`` fresh demonstrations; see :func:`measure`."""
        return measure(self.meta, self.base, self.world, self.seed, "discovery-check", rows)

    def weights(self) -> dict[str, Tensor]:
        """What was trained: the metacontroller, or that and the base, as two parts."""
        if not self.config.base_lr:
            return self.meta.state_dict()
        return join_parts(meta=self.meta.state_dict(), base=self.base.model.weights())

    def state(self) -> dict[str, Tensor]:
        """Weights and optimiser."""
        return self.optimizer.state()

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Restores what :meth:`state` returned."""
        self.optimizer.load(tensors)


@trains("metacontroller")
def discover(run: Run, progress: Progress) -> None:
    """The stage ``metacontroller``: trains the metacontroller of a run.

    Result: action NLL with (``nll``) and without the metacontroller (``nll_without``), KL
    [nats a step] and switches against true boundaries, on fresh demonstrations.

    Raises:
        CheckpointError: If the base is not trained yet.
        UserError: If the preset finds switches without a metacontroller.
    """
    stage = run.stage("metacontroller")
    if "metacontroller" not in run.chain:
        raise UserError(
            f"switches.steps is {run.preset.switches.steps}: switches are found without a "
            "metacontroller; to have one discover them, start a run with --set switches.steps=0"
        )
    base = FastPath(load_pretrained(run), run.preset.pretrain.precision)
    job = DiscoveryJob(run.preset.discovery, run.world, base, run.seed)
    train(stage, job, progress)
    finish(stage, job.weights(), job.measure(run.preset.evaluation.trajectories))
