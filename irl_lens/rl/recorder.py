"""What a roll-out leaves behind, and how it is written down step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from irl_lens.arrays import NDArray
from irl_lens.models.decisions import Decisions

Labels = Int[NDArray[np.int64], "n steps"]


STEPWISE = ("observations", "actions", "log_probs", "mask", "subgoals", "visits", "progress")
LABELS = ("subgoals", "visits", "progress")
EPISODIC = ("rewards", "reached", "visited", "solvable")


@dataclass(frozen=True)
class Rollout:
    """A batch of finished episodes, padded on the right with zeros, labels with -1.

    Attributes:
        observations: Sparse observations, ``[n, steps, columns]``.
        actions: Primitive actions.
        log_probs: Their log-probabilities in nats when they were drawn.
        mask: True on steps that happened.
        subgoals: Abstract subgoal pursued at each step.
        visits: Finest subgoal pursued at each step.
        progress: Visits completed before each step.
        rewards: Sum of each episode's rewards.
        reached: Abstract subgoals completed by the end.
        visited: Visits completed by the end.
        solvable: Whether the episode's board could be solved at all.
        decisions: What the acting hook recorded, if it did.
    """

    observations: Int[NDArray[np.int32], "n steps columns"]
    actions: Int[NDArray[np.int64], "n steps"]
    log_probs: Float[NDArray[np.float32], "n steps"]
    mask: Bool[NDArray[np.bool_], "n steps"]
    subgoals: Labels
    visits: Labels
    progress: Labels
    rewards: Float[NDArray[np.float64], " n"]
    reached: Int[NDArray[np.int64], " n"]
    visited: Int[NDArray[np.int64], " n"]
    solvable: Bool[NDArray[np.bool_], " n"]
    decisions: Decisions | None = None

    def __len__(self) -> int:
        return len(self.rewards)

    @property
    def success(self) -> Bool[NDArray[np.bool_], " n"]:
        """Marks the episodes whose task was completed."""
        return self.rewards > 0

    @property
    def lengths(self) -> Int[NDArray[np.int64], " n"]:
        """Steps of each episode."""
        return self.mask.sum(axis=1)

    @property
    def switches(self) -> Bool[NDArray[np.bool_], "n steps"]:
        """Marks the steps at which the hook decided; nowhere if it makes no decisions."""
        if self.decisions is None:
            return np.zeros_like(self.mask)
        return self.decisions.switches(*self.mask.shape).numpy()

    def rows(
        self, index: Int[NDArray[np.intp], " kept"] | Bool[NDArray[np.bool_], " n"]
    ) -> Rollout:
        """Returns the selected episodes, cut to the longest of them."""
        index = np.arange(len(self))[index]
        steps = int(self.lengths[index].max(initial=1))
        cut = {name: getattr(self, name)[index, :steps] for name in STEPWISE}
        whole = {name: getattr(self, name)[index] for name in EPISODIC}
        decisions = self.decisions and self.decisions.select(torch.from_numpy(index))
        return Rollout(**cut, **whole, decisions=decisions)

    @classmethod
    def join(cls, parts: Sequence[Rollout]) -> Rollout:
        """Returns the episodes of all ``parts``, one after the other."""
        steps = max(part.mask.shape[1] for part in parts)
        padded = {name: [_padded(name, part, steps) for part in parts] for name in STEPWISE}
        whole = {name: [getattr(part, name) for part in parts] for name in EPISODIC}
        joined = {name: np.concatenate(arrays) for name, arrays in (padded | whole).items()}
        decisions = [part.decisions for part in parts if part.decisions is not None]
        sizes = [len(part) for part in parts]
        return cls(**joined, decisions=Decisions.join(decisions, sizes) if decisions else None)


def _padded(name: str, part: Rollout, steps: int) -> NDArray:
    array = getattr(part, name)
    widths = [(0, 0), (0, steps - array.shape[1]), *((0, 0) for _ in array.shape[2:])]
    return np.pad(array, widths, constant_values=-1 if name in LABELS else 0)


class RolloutRecorder:
    """Writes episodes down in their original order while their rows are being cut out.

    Args:
        observation: First observation of every row.
        info: The environment's first labels.
        horizon: Most steps.

    Attributes:
        rows: Episodes still computed, ``[rows]``.
        live: Marks those of them that are not over.
        step: Steps written.
    """

    def __init__(self, observation: NDArray[np.int32], info: dict[str, Any], horizon: int) -> None:
        n, columns = observation.shape
        self.rows, self.live, self.step = np.arange(n), np.ones(n, bool), 0
        none, zeros = (lambda: np.full((n, horizon), -1)), np.zeros(n, np.int64)
        self._kept = Rollout(
            observations=np.zeros((n, horizon, columns), observation.dtype),
            actions=np.zeros((n, horizon), np.int64),
            log_probs=np.zeros((n, horizon), np.float32),
            mask=np.zeros((n, horizon), bool),
            subgoals=none(),
            visits=none(),
            progress=none(),
            rewards=np.zeros(n),
            reached=zeros,
            visited=zeros.copy(),
            solvable=info["solvable"].copy(),
        )

    def before(
        self,
        observation: NDArray[np.int32],
        info: dict[str, Any],
        actions: NDArray[np.int64],
        log_probs: NDArray[np.float32],
    ) -> NDArray[np.int64]:
        """Writes what is seen and done at this step by the rows that are not over.

        Args:
            observation: Of all rows.
            info: Labels of all rows.
            actions: Of the rows still computed.
            log_probs: Of the actions, in nats.

        Returns:
            The actions of all rows, 0 where a row is over.
        """
        rows, at, kept = self.rows[self.live], self.step, self._kept
        kept.mask[rows, at] = True
        kept.observations[rows, at] = observation[rows]
        kept.actions[rows, at] = actions[self.live]
        kept.log_probs[rows, at] = log_probs[self.live]
        kept.subgoals[rows, at] = info["subgoal"][rows]
        kept.visits[rows, at] = info["visit"][rows]
        kept.progress[rows, at] = info["progress"][rows]
        return kept.actions[:, at]

    def after(
        self, reward: NDArray[np.float64], over: NDArray[np.bool_], info: dict[str, Any]
    ) -> None:
        """Writes what came of the step."""
        rows, kept = self.rows[self.live], self._kept
        kept.rewards[rows] += reward[rows]
        # An abstract subgoal is completed when another one, or none any more, is pursued.
        kept.reached[rows] += info["subgoal"][rows] != kept.subgoals[rows, self.step]
        kept.visited[rows] = info["progress"][rows]
        self.live = self.live & ~over[self.rows]
        self.step += 1

    def keep(self, index: Int[NDArray[np.int64], " kept"]) -> None:
        """Stops computing all rows but ``index``, which take that order."""
        self.rows, self.live = self.rows[index], self.live[index]

    def rollout(self, decisions: Decisions | None) -> Rollout:
        """Returns the episodes, cut to the longest."""
        cut = {name: getattr(self._kept, name)[:, : self.step] for name in STEPWISE}
        if decisions is not None:
            # Rows that were over but still computed went on deciding.
            decisions = decisions.where(torch.from_numpy(cut["mask"]))
        return replace(self._kept, **cut, decisions=decisions)
