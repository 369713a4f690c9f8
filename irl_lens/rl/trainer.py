"""The reinforcement learner: roll out a batch, score it, take a PPO step.

One trainer for both kinds of RL, which differ in what a decision is: a code drawn in the
residual stream (:mod:`irl_lens.rl.internal`) or a primitive action (:mod:`irl_lens.rl.raw`).
Every batch is fresh boards, so the training success is an honest estimate.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from irl_lens.arrays import NDArray
from irl_lens.config.rl import RLConfig
from irl_lens.data.demonstrations import stream_seed
from irl_lens.envs.protocol import World
from irl_lens.errors import UserError
from irl_lens.files.tensors import (
    copy_weights,
    join_parts,
    pack_optimizer,
    split_parts,
    unpack_optimizer,
)
from irl_lens.processes import summed
from irl_lens.rl.parallel_rollouts import ParallelRollouts
from irl_lens.rl.ppo import Chunk, advantages, update
from irl_lens.rl.recorder import Rollout
from irl_lens.rl.runner import RolloutRunner

RECENT = 5
"""Batches over which recent success is averaged."""
CHECKED = 20
"""Batches from one check by mean codes to the next."""
CHECK = 256
"""Episodes of such a check: one in 80 of those that are learned from, in batches of 1,024."""


@runtime_checkable
class Agent(Protocol):
    """What is trained."""

    @property
    def trained(self) -> nn.Module:
        """The module whose parameters are stepped."""
        ...

    @property
    def runner(self) -> RolloutRunner:
        """Acts with it."""
        ...

    @property
    def calm(self) -> RolloutRunner | None:
        """Acts with it as it thinks best, without exploring; None if it cannot."""
        ...

    def chunks(self, rollout: Rollout, advantages: Float[Tensor, " n"]) -> list[Chunk]:
        """Cuts a batch into pieces that can be scored again."""
        ...

    def anneal(self, fraction: float) -> None:
        """Limits how much it explores when this part of training is done."""
        ...


class RLJob:
    """Trains an agent on the held-out task; a :class:`irl_lens.training.loop.Job`.

    Args:
        agent: What is trained.
        world: Where.
        config: Episodes, batch and optimisation.
        seed: The run's seed.
        purpose: Names the random stream, such as the stage's name.
        prefix: Train on only this many abstract subgoals of the task.
    """

    def __init__(
        self,
        agent: Agent,
        world: World,
        config: RLConfig,
        seed: int,
        purpose: str,
        prefix: int | None = None,
    ) -> None:
        self.agent, self.world, self.config = agent, world, config
        self.seed, self.purpose, self.prefix = seed, purpose, prefix
        self.parallel = self._parallel(agent.runner, config.batch, config.solvable, apart=True)
        self.silent, self._recent = 0, [0.0] * RECENT
        self.optimizer = torch.optim.AdamW(
            [p for p in agent.trained.parameters() if p.requires_grad],
            lr=config.lr,
            weight_decay=config.weight_decay,
        )

    @property
    def steps(self) -> int:
        """Batches in all; the last may go beyond the configured number of episodes."""
        return self.config.steps

    @property
    def recent_success(self) -> float:
        """Mean success over the last :data:`RECENT` batches, those not played yet as failures."""
        return sum(self._recent) / RECENT

    def step(self, i: int) -> dict[str, float]:
        """Plays batch ``i`` and updates the policy; deterministic in (seed, i) and state.

        Returns:
            Figures of the batch; at every :data:`CHECKED`-th also ``success_mean``, the success
            of other episodes, played without exploring after the update.
        """
        rollout = self._play(self.parallel, self.purpose, i)
        episodes = of_all_processes(tallies(rollout), self.parallel.index, self.config.batch)
        returns = torch.from_numpy(episodes["rewards"]).float()
        own = advantages(returns)[torch.from_numpy(self.parallel.index)]
        learned = update(self.agent.chunks(rollout, own), self.optimizer, self.config)
        self.agent.anneal((i + 1) / self.steps)
        self.silent += not returns.any()
        summary = summarise(episodes)
        self._recent = [*self._recent[1:], summary["success"]]
        figures = {"episodes": (i + 1) * self.config.batch, **summary}
        figures |= {**learned, "zero_batches": self.silent / (i + 1)}
        return figures | (self._check(i) if (i + 1) % CHECKED == 0 else {})

    def measure(self, rows: int) -> dict[str, float]:
        """Plays fresh boards, unsolvable ones among them.

        Returns:
            Figures over solvable boards, ``reached_k`` the share of episodes that completed k
            abstract subgoals or more if the world tells, and ``success_all`` over all boards.

        Raises:
            UserError: If none of the boards is solvable.
        """
        parallel = self._parallel(self.agent.runner, rows, solvable=False)
        rollout = self._play(parallel, f"{self.purpose}-check", 0)
        if not rollout.solvable.any():
            raise UserError(
                f"none of {rows} boards can be solved, so there is nothing to measure success on; "
                "play more with --set evaluation.rollouts=1024"
            )
        solvable = rollout.rows(rollout.solvable)
        reached = {}
        if solvable.reached is not None:
            subgoals = range(1, len(self.world.heldout_subgoals) + 1)
            reached = {f"reached_{k}": float((solvable.reached >= k).mean()) for k in subgoals}
        all_boards = {"success_all": float(rollout.success.mean())}
        return {**summarise(tallies(solvable)), **reached, **all_boards}

    def state(self) -> dict[str, Tensor]:
        """Returns all that the next step depends on."""
        return join_parts(
            trained=parameters(self.agent.trained),
            optimizer=pack_optimizer(self.optimizer),
            count={
                "silent": torch.tensor(self.silent),
                "recent": torch.tensor(self._recent, dtype=torch.float64),
            },
        )

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Restores what :meth:`state` returned."""
        parts = split_parts(tensors, "trained", "optimizer", "count")
        copy_weights(parameters(self.agent.trained), parts["trained"], "the checkpoint")
        unpack_optimizer(self.optimizer, parts["optimizer"])
        self.silent = int(parts["count"]["silent"])
        self._recent = parts["count"]["recent"].tolist()

    def _check(self, i: int) -> dict[str, float]:
        if (runner := self.agent.calm) is None:
            return {}
        parallel = self._parallel(runner, CHECK, self.config.solvable)
        success = self._play(parallel, f"{self.purpose}-mean", i).success
        return {"success_mean": float(success.mean())}

    def _parallel(
        self, runner: RolloutRunner, episodes: int, solvable: bool, apart: bool = False
    ) -> ParallelRollouts:
        make = partial(self.world.vector_env, prefix=self.prefix, solvable=solvable)
        return ParallelRollouts(runner, make, episodes, self.config.share, apart)

    def _play(self, parallel: ParallelRollouts, purpose: str, i: int) -> Rollout:
        return parallel.play(
            [draw_seed(self.seed, f"{purpose}-{k}", i) for k in range(len(parallel))]
        )


def parameters(module: nn.Module) -> dict[str, Tensor]:
    """Returns a module's parameters by name."""
    return {name: p.detach() for name, p in module.named_parameters()}


def draw_seed(seed: int, purpose: str, index: int) -> int:
    """Returns a 63-bit seed that no other draw shares."""
    entropy = np.random.SeedSequence(stream_seed(seed, purpose, index))
    return int(entropy.generate_state(1, np.uint64)[0] >> np.uint64(1))


def tallies(rollout: Rollout) -> dict[str, NDArray[Any]]:
    """Counts of each episode, by name, each ``[n]``: what the world tells of it, and switches."""
    counts = {"rewards": rollout.rewards, "subgoals": rollout.reached, "visits": rollout.visited}
    counts["length"] = rollout.lengths
    if rollout.decisions is not None:
        # The first switch is forced and says nothing about the gate.
        counts["switches"] = rollout.switches[:, 1:].sum(axis=1)
        counts["later"] = rollout.mask[:, 1:].sum(axis=1)
    return {name: each for name, each in counts.items() if each is not None}


def of_all_processes(
    counts: Mapping[str, NDArray[Any]], index: Int[NDArray[np.int64], " own"], episodes: int
) -> dict[str, NDArray[np.float64]]:
    """The counts of all episodes of a batch, which processes that train together share.

    Args:
        counts: Those of some.
        index: Which these are.
        episodes: How many there are in all.
    """
    table = torch.zeros(len(counts), episodes, dtype=torch.float64)
    for row, each in zip(table, counts.values(), strict=True):
        row[torch.from_numpy(index)] = torch.from_numpy(each).double()
    (table,) = summed([table])
    return dict(zip(counts, table.numpy(), strict=True))


def summarise(counts: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    """Returns means over episodes: success, subgoals and visits reached, length, switches.

    What the world does not tell is left out.

    Args:
        counts: See :func:`tallies`.
    """
    named = {"success": counts["rewards"] > 0}
    named |= {name: counts[name] for name in ("subgoals", "visits", "length") if name in counts}
    figures = {name: float(each.mean()) for name, each in named.items()}
    if "switches" in counts:
        figures["switch_rate"] = float(counts["switches"].sum() / max(counts["later"].sum(), 1))
    return figures
