"""What a world shows whose expert has a skill to learn: rows to practise on, in lessons.

An expert on a body needs movements that no planner gives. A world offers rows on which they are
rewarded at every step, and in which order and with which numbers to train on them;
:mod:`irl_lens.rl.practice` trains, and knows no more of the skill than this. What is trained is a
Gaussian policy without memory; the world itself reads its weights.

A body that looks the same from several sides is seen in as many views as count: the policy means
the weighted sum of what it means in each, with the numbers of each view's action put in order. A
body without such a symmetry has one view of weight 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from irl_lens.arrays import NDArray


@dataclass(frozen=True)
class Lesson:
    """How one part of the training goes.

    Attributes:
        name: What its folder is called.
        iterations: How often rows are stepped and the policy is updated.
        rows: Rows practised on side by side.
        steps: Steps of every row between updates.
        discount: Worth of the next step's reward, gamma.
        rate: Learning rate at the start; it follows the divergence of each update.
        divergence: KL divergence from the policy that acted that an update aims at [nats].
        deviation: Of actions, at least: what the skill learns to do well in spite of.
    """

    name: str
    iterations: int
    rows: int = 256
    steps: int = 32
    discount: float = 0.97
    rate: float = 1e-3
    divergence: float = 0.012
    deviation: float = 0.08

    @property
    def samples(self) -> int:
        """Steps of all rows in an iteration."""
        return self.rows * self.steps


@dataclass(frozen=True)
class Practised:
    """What came of one step.

    Attributes:
        rewards: One a row.
        ended: Rows that failed: nothing comes after. They have begun anew.
        cut: Rows that were stopped, though it would have gone on. They have begun anew.
        last: What the rows of ``cut`` would have observed, in order.
        figures: What to follow, each a number a row.
    """

    rewards: Float[NDArray[np.floating[Any]], " n"]
    ended: Bool[NDArray[np.bool_], " n"]
    cut: Bool[NDArray[np.bool_], " n"]
    last: Float[NDArray[np.float32], "cut views weight_and_columns"]
    figures: Mapping[str, NDArray[Any]] = field(default_factory=dict)


@runtime_checkable
class PracticeRows(Protocol):
    """Rows to practise on; deterministic in what the generator draws."""

    columns: int
    """Numbers observed in a view."""
    views: Int[NDArray[np.int64], "views size"]
    """Which number of each view's action is which of the action."""

    def begin(self, rng: np.random.Generator) -> None:
        """Begins anew in every row."""
        ...

    def observe(self) -> Float[NDArray[np.float32], "n views weight_and_columns"]:
        """What the policy reads now: of every view its weight, then its columns."""
        ...

    def step(
        self, actions: Float[NDArray[np.float32], "n size"], rng: np.random.Generator
    ) -> Practised:
        """Acts in every row; rows that end begin anew."""
        ...

    def state(self) -> dict[str, NDArray[Any]]:
        """All that the next step depends on."""
        ...

    def load(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Goes back to what :meth:`state` returned."""
        ...


@runtime_checkable
class Practice(Protocol):
    """A skill to learn."""

    @property
    def lessons(self) -> tuple[Lesson, ...]:
        """In order; each goes on with the policy of the one before."""
        ...

    def rows(self, lesson: str) -> PracticeRows:
        """Returns rows for the lesson of a name."""
        ...

    def measure(self, weights: Mapping[str, NDArray[Any]]) -> dict[str, float]:
        """Returns what the expert can do with a policy, in figures of the world's own.

        Args:
            weights: Of the policy, by name: ``actor.N.weight`` and ``.bias``, ``log_std``.
        """
        ...


@runtime_checkable
class Practising(Protocol):
    """A world whose expert has a skill that is trained."""

    def practice(self) -> Practice:
        """The skill."""
        ...
