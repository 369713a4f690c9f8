"""One lesson: step all rows, estimate advantages, take PPO's clipped steps.

The surrogate is that of :mod:`irl_lens.rl.ppo`, a decision a row; the critic learns by squared
error. After each update the learning rate follows the divergence that it made,

    KL > 2 target: rate / 1.5,    KL < target / 2: rate * 1.5

(Schulman et al. 2017, arXiv 1707.06347, sections 3 and 4, with the rate adapted in place of the
penalty, as Rudin et al. 2022, arXiv 2109.11978, do for walking robots).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from irl_lens.data.demonstrations import stream_seed
from irl_lens.envs.practice import Lesson, PracticeRows
from irl_lens.files.tensors import (
    copy_weights,
    join_parts,
    pack_optimizer,
    split_parts,
    unpack_optimizer,
)
from irl_lens.rl.ppo import surrogate
from irl_lens.rl.practice.actor_critic import ActorCritic, log_density
from irl_lens.rl.practice.advantages import generalised_advantages
from irl_lens.rl.trainer import draw_seed

CLIP, TRACE = 0.2, 0.95
EPOCHS, MINIBATCHES = 4, 4
LARGEST_GRADIENT = 1.0
SLOWEST, FASTEST, FACTOR = 1e-5, 1e-2, 1.5
"""Limits of the learning rate, and by what it changes."""


@dataclass(frozen=True)
class Batch:
    """What the rows did, one sample a row: all steps of all rows.

    Attributes:
        seen: Observations.
        actions: What was done.
        old: Log-probabilities when it was done.
        returns: What the critic is to say.
        advantages: Normalised.
    """

    seen: Float[Tensor, "samples views weight_and_columns"]
    actions: Float[Tensor, "samples size"]
    old: Float[Tensor, " samples"]
    returns: Float[Tensor, " samples"]
    advantages: Float[Tensor, " samples"]

    def part(self, index: Tensor) -> Batch:
        """Some of the samples."""
        return Batch(*(each[index] for each in vars(self).values()))


class PracticeJob:
    """Trains a policy on one lesson; a :class:`irl_lens.training.loop.Job`.

    Args:
        network: What is trained.
        rows: What it is trained on.
        lesson: How.
        seed: Where every random stream starts from.
    """

    def __init__(self, network: ActorCritic, rows: PracticeRows, lesson: Lesson, seed: int) -> None:
        self.network, self.rows, self.lesson, self.seed = network, rows, lesson, seed
        self.optimizer = torch.optim.Adam(network.parameters(), lr=lesson.rate, fused=True)
        rows.begin(np.random.default_rng(stream_seed(seed, f"{lesson.name}-begin", 0)))

    @property
    def steps(self) -> int:
        """Updates in all."""
        return self.lesson.iterations

    def step(self, i: int) -> dict[str, float]:
        """Plays and updates; deterministic in (seed, i) and the state."""
        purpose = f"practice-{self.lesson.name}"
        generator = torch.Generator().manual_seed(draw_seed(self.seed, purpose, i))
        rng = np.random.default_rng(stream_seed(self.seed, purpose, i))
        batch, figures = self._play(rng, generator)
        learned = self._update(batch, generator)
        samples = (i + 1) * self.lesson.samples
        return {"samples": samples, **figures, **learned}

    def state(self) -> dict[str, Tensor]:
        """Returns all that the next step depends on."""
        rows = {name: torch.from_numpy(each) for name, each in self.rows.state().items()}
        return join_parts(
            network=self.network.state_dict(), optimizer=pack_optimizer(self.optimizer), rows=rows
        )

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Restores what :meth:`state` returned."""
        parts = split_parts(tensors, "network", "optimizer", "rows")
        copy_weights(self.network.state_dict(), parts["network"], "the checkpoint")
        unpack_optimizer(self.optimizer, parts["optimizer"])
        self.rows.load({name: each.numpy() for name, each in parts["rows"].items()})

    @torch.no_grad()
    def _play(
        self, rng: np.random.Generator, generator: torch.Generator
    ) -> tuple[Batch, dict[str, float]]:
        network, discount = self.network, self.lesson.discount
        record: list[tuple[Tensor, ...]] = []
        followed: dict[str, list[float]] = {}
        deviation = network.log_std.exp()
        for _ in range(self.lesson.steps):
            seen = torch.from_numpy(self.rows.observe())
            mean = network.mean(seen)
            actions = mean + deviation * torch.randn(mean.shape, generator=generator)
            old = log_density(actions, mean, network.log_std)
            came = self.rows.step(actions.numpy(), rng)
            rewards = torch.from_numpy(came.rewards).float()
            cut = torch.from_numpy(came.cut)
            rewards[cut] += discount * network.values(torch.from_numpy(came.last))
            over = cut | torch.from_numpy(came.ended)
            record.append((seen, actions, old, rewards, over))
            for name, each in {"reward": came.rewards, **came.figures}.items():
                followed.setdefault(name, []).append(float(each.mean()))
        seen, actions, old, rewards, over = map(torch.stack, zip(*record, strict=True))
        after = torch.from_numpy(self.rows.observe())
        values = network.values(torch.cat([seen, after[None]]))
        advantages = generalised_advantages(rewards, values, over, discount, TRACE)
        returns = (advantages + values[:-1]).flatten()
        flat = advantages.flatten()
        flat = (flat - flat.mean()) / (flat.std() + 1e-8)
        batch = Batch(seen.flatten(0, 1), actions.flatten(0, 1), old.flatten(), returns, flat)
        return batch, {name: float(np.mean(each)) for name, each in followed.items()}

    def _update(self, batch: Batch, generator: torch.Generator) -> dict[str, float]:
        samples = len(batch.old)
        for _ in range(EPOCHS):
            order = torch.randperm(samples, generator=generator)
            for index in order.chunk(MINIBATCHES):
                self._descend(batch.part(index))
        divergence, worth = self._drift(batch)
        self._adapt(divergence)
        return {
            "kl": divergence,
            "explained": worth,
            "deviation": float(self.network.log_std.detach().exp().mean()),
            "rate": self.optimizer.param_groups[0]["lr"],
        }

    def _descend(self, part: Batch) -> None:
        network, n = self.network, len(part.old)
        log_prob = network.log_prob(part.seen, part.actions)[:, None]
        mask = torch.ones_like(log_prob, dtype=torch.bool)
        gain = surrogate(log_prob, part.old[:, None], mask, part.advantages, CLIP) / n
        error = (network.values(part.seen) - part.returns).square().mean()
        self.optimizer.zero_grad(set_to_none=True)
        (error - gain).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), LARGEST_GRADIENT)
        self.optimizer.step()
        network.clamp(self.lesson.deviation)

    @torch.no_grad()
    def _drift(self, batch: Batch) -> tuple[float, float]:
        """Divergence from the policy that acted (mean of r - 1 - ln r), and critic's R squared."""
        log_ratio = (self.network.log_prob(batch.seen, batch.actions) - batch.old).double()
        error = (self.network.values(batch.seen) - batch.returns).square().mean()
        explained = 1 - error / batch.returns.var()
        return float((log_ratio.exp() - 1 - log_ratio).mean()), float(explained)

    def _adapt(self, divergence: float) -> None:
        group, target = self.optimizer.param_groups[0], self.lesson.divergence
        if divergence > 2 * target:
            group["lr"] = max(group["lr"] / FACTOR, SLOWEST)
        elif divergence < target / 2:
            group["lr"] = min(group["lr"] * FACTOR, FASTEST)
