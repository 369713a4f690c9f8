"""What a roll-out leaves behind, and how it is written down step by step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped

from irl_lens.arrays import NDArray
from irl_lens.envs.spaces import ActionSpec
from irl_lens.errors import NotOffered
from irl_lens.models.decisions import Decisions

Labels = Int[NDArray[np.int64], "n steps"]
Counts = Int[NDArray[np.int64], " n"]

LABELS = {"subgoals": "subgoal", "visits": "visit", "progress": "progress"}
"""Labels of every step, and what the environment's info calls them."""
STEPWISE = ("observations", "actions", "log_probs", "mask", *LABELS)
EPISODIC = ("rewards", "reached", "visited", "solvable")


@dataclass(frozen=True)
class Rollout:
    """A batch of finished episodes, padded on the right with zeros, labels with -1.

    Attributes:
        observations: Sparse observations, ``[n, steps, columns]``.
        actions: Primitive actions as they were drawn, integers ``[n, steps]`` or real vectors
            ``[n, steps, size]``.
        log_probs: Their log-probabilities in nats when they were drawn.
        mask: True on steps that happened.
        rewards: Sum of each episode's rewards.
        solvable: Whether the episode's board could be solved at all, as far as the world says.
        subgoals: Abstract subgoal pursued at each step; None, as the other labels, where the
            world does not tell.
        visits: Finest subgoal pursued at each step.
        progress: Visits completed before each step.
        reached: Abstract subgoals completed by the end.
        visited: Visits completed by the end.
        decisions: What the acting hook recorded, if it did.
    """

    observations: Shaped[NDArray[Any], "n steps columns"]
    actions: Shaped[NDArray[Any], "n steps *action"]
    log_probs: Float[NDArray[np.float32], "n steps"]
    mask: Bool[NDArray[np.bool_], "n steps"]
    rewards: Float[NDArray[np.float64], " n"]
    solvable: Bool[NDArray[np.bool_], " n"]
    subgoals: Labels | None = None
    visits: Labels | None = None
    progress: Labels | None = None
    reached: Counts | None = None
    visited: Counts | None = None
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
        return self.decisions.switches(*self.mask.shape).cpu().numpy()

    def rows(
        self, index: Int[NDArray[np.intp], " kept"] | Bool[NDArray[np.bool_], " n"]
    ) -> Rollout:
        """Returns the selected episodes, cut to the longest of them."""
        index = np.arange(len(self))[index]
        steps = int(self.lengths[index].max(initial=1))
        cut = {name: array[index, :steps] for name, array in self.known(STEPWISE).items()}
        whole = {name: array[index] for name, array in self.known(EPISODIC).items()}
        decisions = self.decisions and self.decisions.select(torch.from_numpy(index))
        return Rollout(**cut, **whole, decisions=decisions)

    def known(self, names: Iterable[str]) -> dict[str, NDArray[Any]]:
        """Returns those of some arrays that the world told of, by name."""
        return {name: array for name in names if (array := getattr(self, name)) is not None}

    def require(self, name: str) -> NDArray[Any]:
        """Returns one of the arrays that a world need not tell of.

        Raises:
            NotOffered: This one did not.
        """
        if (found := getattr(self, name)) is None:
            raise NotOffered(
                f"the world does not tell the {name} of its episodes; have it put them into the "
                "info of its steps, or do without"
            )
        return found

    @classmethod
    def join(cls, parts: Sequence[Rollout]) -> Rollout:
        """Returns the episodes of all ``parts``, one after the other."""
        steps = max(part.mask.shape[1] for part in parts)
        padded = {
            name: [_padded(name, part, steps) for part in parts]
            for name in parts[0].known(STEPWISE)
        }
        whole = {name: [getattr(part, name) for part in parts] for name in parts[0].known(EPISODIC)}
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
        actions: What can be done.

    Attributes:
        rows: Episodes still computed, ``[rows]``.
        live: Marks those of them that are not over.
        step: Steps written.
    """

    def __init__(
        self, observation: NDArray[Any], info: dict[str, Any], horizon: int, actions: ActionSpec
    ) -> None:
        n, columns = observation.shape
        self.rows, self.live, self.step = np.arange(n), np.ones(n, bool), 0
        self._told = {kept: said for kept, said in LABELS.items() if said in info}
        labels = {name: np.full((n, horizon), -1) for name in self._told}
        counts = {
            count: np.zeros(n, np.int64)
            for count, label in (("reached", "subgoals"), ("visited", "progress"))
            if label in labels
        }
        self._kept = Rollout(
            observations=np.zeros((n, horizon, columns), observation.dtype),
            actions=np.zeros((n, horizon, *actions.shape), actions.dtype),
            log_probs=np.zeros((n, horizon), np.float32),
            mask=np.zeros((n, horizon), bool),
            rewards=np.zeros(n),
            solvable=np.array(info.get("solvable", np.ones(n, bool))),
        )
        self._kept = replace(self._kept, **labels, **counts)

    def before(
        self,
        observation: NDArray[Any],
        info: dict[str, Any],
        actions: NDArray[Any],
        log_probs: NDArray[np.float32],
    ) -> NDArray[Any]:
        """Writes what is seen and done at this step by the rows that are not over.

        Args:
            observation: All rows' observations.
            info: Labels of all rows.
            actions: Those taken in the rows still computed.
            log_probs: The actions' log-probabilities, in nats.

        Returns:
            The actions of all rows, 0 where a row is over.
        """
        rows, at, kept = self.rows[self.live], self.step, self._kept
        kept.mask[rows, at] = True
        kept.observations[rows, at] = observation[rows]
        kept.actions[rows, at] = actions[self.live]
        kept.log_probs[rows, at] = log_probs[self.live]
        for name, said in self._told.items():
            getattr(kept, name)[rows, at] = info[said][rows]
        return kept.actions[:, at]

    def after(
        self, reward: NDArray[np.float64], over: NDArray[np.bool_], info: dict[str, Any]
    ) -> None:
        """Writes what came of the step."""
        rows, kept = self.rows[self.live], self._kept
        kept.rewards[rows] += reward[rows]
        if kept.reached is not None and kept.subgoals is not None:
            # One is completed when another one, or none any more, is pursued.
            kept.reached[rows] += info["subgoal"][rows] != kept.subgoals[rows, self.step]
        if kept.visited is not None:
            kept.visited[rows] = info["progress"][rows]
        self.live = self.live & ~over[self.rows]
        self.step += 1

    def keep(self, index: Int[NDArray[np.int64], " kept"]) -> None:
        """Stops computing all rows but ``index``, which take that order."""
        self.rows, self.live = self.rows[index], self.live[index]

    def rollout(self, decisions: Decisions | None) -> Rollout:
        """Returns the episodes, cut to the longest."""
        known = self._kept.known(STEPWISE)
        cut = {name: array[:, : self.step] for name, array in known.items()}
        if decisions is not None:
            # Rows that were over but still computed went on deciding.
            decisions = decisions.where(torch.from_numpy(cut["mask"]))
        return replace(self._kept, **cut, decisions=decisions)
