"""CompILE on raw demonstrations: segments, a code each, and a policy of codes.

    L = the mean over demonstrations of -ELBO, and of the termination's loss

(:mod:`irl_lens.models.compile.model`.) Labels serve to score where segments begin, and nothing
else. What is measured is of the likeliest boundaries and codes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from irl_lens.config.compile import CompileConfig
from irl_lens.config.value_types import Targets
from irl_lens.data.ahead import AheadDemonstrations
from irl_lens.data.demonstrations import Demonstrations, stream_seed
from irl_lens.envs.protocol import World
from irl_lens.envs.trajectories import Trajectories
from irl_lens.files.tensors import (
    copy_weights,
    join_parts,
    pack_optimizer,
    split_parts,
    unpack_optimizer,
)
from irl_lens.models.compile.encoder import Noise, Segments
from irl_lens.models.compile.model import CompILE, Terms
from irl_lens.processes import own_rows, totals
from irl_lens.progress import Progress
from irl_lens.runs.run import Run
from irl_lens.training.batches import Batch, imitated
from irl_lens.training.loop import finish, train
from irl_lens.training.optimizers import decay, take_step
from irl_lens.training.stages import trains
from irl_lens.training.switches import SwitchCounts

STAGE = "compile"
CHECKED_AT_ONCE = 64
"""Demonstrations in one batch of a measurement."""


class CompileJob:
    """Trains CompILE; a :class:`irl_lens.training.loop.Job`.

    Args:
        config: Sizes and schedule.
        world: Where demonstrations come from.
        seed: Seed of initialisation, demonstrations and noise.
        device: Where to train.
    """

    def __init__(
        self,
        config: CompileConfig,
        world: World,
        seed: int,
        device: torch.device | str = "cpu",
    ) -> None:
        self.config, self.world, self.seed, self.steps = config, world, seed, config.steps
        stream = Demonstrations(world, seed, STAGE, config.batch)
        self.stream = AheadDemonstrations(stream, self.steps)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.model = CompILE(config, world.observation, world.actions).to(device)
        self.device = torch.device(device)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), config.lr, weight_decay=config.weight_decay, fused=True
        )

    def step(self, i: int) -> dict[str, float]:
        """One optimisation step; deterministic in (seed, i) and the state."""
        own = own_rows(self.config.batch)
        batch = Batch.of(self.stream[i], device=self.device, own=own)
        terms, segments = self.terms(batch, self.noise(batch, i), self.config.targets)
        share = len(batch.mask) / batch.shape[0]
        (share * self.model.loss(terms)).backward()
        take_step(self.optimizer, [self.config.lr], decay(self.config.schedule, i / self.steps))
        means = {name: share * value for name, value in _figures(terms, batch).items()}
        counts = _counts(segments, batch.trajectories)
        return _a_step(totals(means)) | _scores([counts and counts.of_all_processes()])

    def terms(
        self, batch: Batch, noise: Noise | None, targets: Targets = "actions"
    ) -> tuple[Terms, Segments]:
        """The terms of the loss on a batch; without noise of the likeliest segments and codes."""
        head, mask = self.model.policy.action_head, batch.mask
        loss, wanted = imitated(head, targets, batch.actions, batch.policy)

        def action_loss(outputs: Tensor) -> Tensor:
            return loss(outputs, wanted[mask], "none")

        return self.model.terms(batch.observations, batch.actions, mask, action_loss, noise)

    def noise(self, batch: Batch, i: int) -> Noise:
        """What the batch of step ``i`` is drawn with; drawn for all rows of one that is shared."""
        rows, steps = batch.shape
        draw = np.random.SeedSequence(stream_seed(self.seed, f"{STAGE}-noise", i))
        generator = torch.Generator().manual_seed(int(draw.generate_state(1)[0]))
        shape = self.config.segments, rows
        tiny = torch.finfo(torch.float32).tiny  # of 0 there is no logarithm
        uniform = torch.rand(*shape, steps + 1, generator=generator).clamp(min=tiny)
        normal = torch.randn(*shape, self.config.latent, generator=generator)
        uniform = uniform[:, batch.own, : batch.mask.shape[1] + 1]
        return Noise(uniform.to(self.device), normal[:, batch.own].to(self.device))

    @torch.no_grad()
    def measure(self, rows: int) -> dict[str, float]:
        """Scores the likeliest segments and codes of at least ``rows`` fresh demonstrations.

        Returns:
            ``nll`` of actions and ``stop`` of the termination [nats a step], both divergences
            [nats a demonstration], ``segments`` that are not empty a demonstration, and where
            segments begin against true boundaries if there are labels.
        """
        fresh = Demonstrations(self.world, self.seed, f"{STAGE}-check", CHECKED_AT_ONCE)
        figures: list[dict[str, float]] = []
        counts: list[SwitchCounts | None] = []
        for i in range(math.ceil(rows / CHECKED_AT_ONCE)):
            batch = Batch.of(fresh[i], device=self.device)
            terms, segments = self.terms(batch, None)
            figures.append(_figures(terms, batch) | {"segments": _filled(segments, batch)})
            counts.append(_counts(segments, batch.trajectories))
        means = {name: float(np.mean([each[name] for each in figures])) for name in figures[0]}
        return _a_step(means) | _scores(counts)

    def weights(self) -> dict[str, Tensor]:
        """What was trained."""
        return {name: p.detach() for name, p in self.model.named_parameters()}

    def state(self) -> dict[str, Tensor]:
        """Weights and optimiser."""
        return join_parts(model=self.weights(), optimizer=pack_optimizer(self.optimizer))

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Restores what :meth:`state` returned."""
        parts = split_parts(tensors, "model", "optimizer")
        copy_weights(self.weights(), parts["model"], "the checkpoint")
        unpack_optimizer(self.optimizer, parts["optimizer"])


@torch.no_grad()
def segment_codes(
    model: CompILE, shown: Trajectories, device: torch.device
) -> Float[Tensor, "segments latent"]:
    """The likeliest codes of all segments of demonstrations, empty ones left out."""
    batch = Batch.of(shown, device=device)
    segments = model.encoder(batch.observations, batch.actions, batch.mask)
    filled = _steps(segments, batch) > 0
    return segments.codes[filled].cpu()


def _steps(segments: Segments, batch: Batch) -> Float[Tensor, "segments rows"]:
    """How many steps each segment has."""
    return (segments.masks[..., :-1] * batch.mask).sum(dim=-1)


def _filled(segments: Segments, batch: Batch) -> float:
    return float((_steps(segments, batch) > 0).sum()) / len(batch.mask)


def _figures(terms: Terms, batch: Batch) -> dict[str, float]:
    """Means over demonstrations, of their numbers of steps too."""
    each = {name: float(value.detach()) for name, value in vars(terms).items()}
    return each | {"length": len(batch.valid) / len(batch.mask)}


def _a_step(figures: dict[str, float]) -> dict[str, float]:
    """The same, but a step where that is what losses are given as."""
    return figures | {name: figures[name] / figures["length"] for name in ("nll", "stop")}


def _counts(segments: Segments, truth: Trajectories) -> SwitchCounts | None:
    if truth.subgoals is None:
        return None
    held = segments.held().cpu().numpy()
    began = np.zeros_like(truth.mask)
    began[:, 1:] = held[:, 1:] != held[:, :-1]
    return SwitchCounts.of(began, truth.boundaries(), truth.mask, truth.tolerance)


def _scores(counts: list[SwitchCounts | None]) -> dict[str, float]:
    known = [each for each in counts if each is not None]
    return sum(known, SwitchCounts()).scores() if known else {}


@trains(STAGE)
def learn_compile(run: Run, progress: Progress) -> None:
    """The stage ``compile``: trains CompILE on demonstrations of a run's world.

    Result: see :meth:`CompileJob.measure`.
    """
    stage = run.stage(STAGE)
    job = CompileJob(run.preset.compile, run.world, run.seed, run.device)
    train(stage, job, progress)
    finish(stage, job.weights(), job.measure(run.preset.evaluation.trajectories))
