"""How well something acts on the held-out task: the measure all bounds and policies share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite, nan
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from irl_lens.analyses.stats.estimates import Estimate, mean, proportion
from irl_lens.arrays import NDArray
from irl_lens.envs.protocol import World
from irl_lens.hooks import Intervention
from irl_lens.models.fast import FastPath
from irl_lens.rl.recorder import EPISODIC, Rollout
from irl_lens.rl.runner import RolloutRunner
from irl_lens.rl.trainer import draw_seed


@dataclass(frozen=True)
class Trial:
    """How the held-out task is played.

    Attributes:
        world: Where.
        rows: Episodes.
        seed: The run's seed; every player meets the same boards.
        temperature: Temperature of the primitive actions; 0 takes the likeliest.
    """

    world: World
    rows: int
    seed: int
    temperature: float = 1.0

    @property
    def likeliest(self) -> Trial:
        """The same boards, the likeliest primitive action taken at every step."""
        return replace(self, temperature=0.0)

    def play(
        self, base: FastPath, hook: Intervention | None = None, prefix: int | None = None
    ) -> Outcome:
        """Plays fresh boards, unsolvable ones among them; may be called from several threads.

        Args:
            base: The base model.
            hook: What acts in its stream.
            prefix: Play only this many abstract subgoals of the task.
        """
        return Outcome.of(self.rollout(base, hook, prefix))

    def rollout(
        self, base: FastPath, hook: Intervention | None = None, prefix: int | None = None
    ) -> Rollout:
        """Returns the episodes of :meth:`play` one by one."""
        env = self.world.vector_env(self.rows, prefix=prefix, solvable=False)
        runner = RolloutRunner(base, self.world.horizon, hook, self.temperature)
        # Of its own hook points: others may play with the same base at the same time.
        return runner.twin().play(env, draw_seed(self.seed, "analysis-heldout", 0))


@dataclass(frozen=True)
class Outcome:
    """Figures on the held-out task.

    Attributes:
        success_solvable: Share of solvable boards on which the task was completed.
        success_all: The same over all boards.
        subgoals: Abstract subgoals completed, solvable boards; NaN where the world does not tell.
        visits: Visits completed, likewise.
    """

    success_solvable: Estimate
    success_all: Estimate
    subgoals: Estimate
    visits: Estimate

    @classmethod
    def of(cls, rollout: Rollout) -> Outcome:
        """Averages episodes."""
        return cls.of_episodes(rollout.known(EPISODIC))

    @classmethod
    def of_episodes(cls, episodes: Mapping[str, NDArray[Any]]) -> Outcome:
        """Averages episodes.

        Args:
            episodes: What is known of :data:`irl_lens.rl.recorder.EPISODIC`, by name.
        """
        success, solvable = episodes["rewards"] > 0, episodes["solvable"]
        return cls(
            proportion(success[solvable]),
            proportion(success),
            *(_counted(episodes.get(name), solvable) for name in ("reached", "visited")),
        )

    def sentence(self) -> str:
        """Says how much of the task is done."""
        solvable, everywhere = self.success_solvable, self.success_all
        interval = f"95 % {percent(solvable.low)} to {percent(solvable.high)}"
        if solvable == everywhere:  # all boards can be solved, as far as the world tells
            said = f"success {percent(solvable.value)} ({interval})"
        else:
            said = (
                f"success {percent(solvable.value)} on solvable boards ({interval}; "
                f"{percent(everywhere.value)} on all)"
            )
        told = isfinite(self.subgoals.value)
        return said + f" and {self.subgoals.value:.2f} subgoals reached" * told

    def columns(self, prefix: str = "") -> dict[str, float]:
        """Returns all figures and their intervals as columns of a table."""
        columns: dict[str, float] = {}
        for name in ("success_solvable", "success_all", "subgoals", "visits"):
            columns |= getattr(self, name).columns(prefix + name)
        return columns


def _counted(
    count: Int[NDArray[np.int64], " n"] | None, solvable: Bool[NDArray[np.bool_], " n"]
) -> Estimate:
    return Estimate(nan, nan, nan) if count is None else mean(count[solvable])


def percent(value: float) -> str:
    """Writes a share as per cent."""
    return f"{value:.1%}".replace("%", " %")
