"""What a world may offer beyond the necessary; analyses ask for it and refuse without.

Each contract is a small protocol, and a world keeps it by having its methods:

    Filtered    an exact Bayes filter: the floor of the action NLL, beliefs about subgoals
    Mapped      where the agent is: a place, and exactly
    Stageable   situations that can be drawn, edited and played
    Retraceable such situations, in which a walk that was walked elsewhere can be retraced
    Walkable    such situations, with actions that are moves from place to place
    Roamable    rows on which nothing is asked for
    Eventful    events that its observations show, of which a boundary may be one
    Paired      pairs of episodes, clean and corrupted
    Varied      worlds with one thing other, that the same model can read
    Recorded    demonstrations that were recorded, in parts that share nothing
    Telling     how many demonstrations there are, while they are played
    Explained   what is to be done, in words and a picture
    Fallible    how often its expert succeeds
    Practising  a skill of its expert that is trained

Two more are no methods: labels of subgoals, and actions out of a finite set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Bool, Int, Shaped

from irl_lens.arrays import NDArray
from irl_lens.envs.practice import Practising
from irl_lens.envs.protocol import Filtered, Seed, World
from irl_lens.envs.roaming import Roamable
from irl_lens.envs.roaming import RoamingRows as RoamingRows
from irl_lens.envs.scenes import Mapped, Stageable, TraceableSituation, Walkable
from irl_lens.envs.spaces import DiscreteActions
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import NotOffered

T = TypeVar("T")


@runtime_checkable
class Eventful(Protocol):
    """A world whose observations show events, such as that something is reached.

    An event depends on what is seen, now and before, and never on the task: it is what a rule
    that knows of no subgoals could go by.
    """

    @property
    def event_names(self) -> tuple[str, ...]:
        """Names of the events; several may happen at once."""
        ...

    def events(self, trajectories: Trajectories) -> Bool[NDArray[np.bool_], "n steps events"]:
        """Marks the events at each step; none on padding and at the first step."""
        ...


@runtime_checkable
class Retraceable(Stageable, Protocol):
    """A world in which what an agent did in one situation can be looked at in another."""

    def situation(self, seed: Seed) -> TraceableSituation:
        """Draws a situation in which a training task can be done."""
        ...

    def situations(self, trajectories: Trajectories) -> Sequence[TraceableSituation]:
        """Returns what each trajectory took place in."""
        ...

    def stage(self, plain: dict[str, Any]) -> TraceableSituation:
        """Builds a situation from its plain values; see :class:`Stageable`."""
        ...

    def seen_in(self, situation: Any, rows: Any) -> Shaped[NDArray[Any], "n columns"]:
        """Returns what agents would see that are as those in rows, but in another situation.

        Args:
            situation: One of this world.
            rows: :class:`RoamingRows` of this world; what rows that are over see does not matter.
        """
        ...


@dataclass(frozen=True)
class EpisodePairs:
    """Clean and corrupted episodes, of which step t of one is step t of the other.

    Attributes:
        clean: Observations, ``[pairs, steps, columns]``.
        corrupted: The same, other than it was.
        decisions: Step at which each pair is compared, ``[pairs]``.
        changes: What is other, of each pair, in words.
    """

    clean: Shaped[NDArray[Any], "pairs steps columns"]
    corrupted: Shaped[NDArray[Any], "pairs steps columns"]
    decisions: Int[NDArray[np.int64], " pairs"]
    changes: tuple[str, ...]


@runtime_checkable
class Paired(Protocol):
    """A world that makes pairs of episodes by itself."""

    @property
    def edits(self) -> tuple[str, ...]:
        """Names of the ways in which the episodes of a pair may differ, the usual one first."""
        ...

    def pairs(self, edit: str, n: int, seed: int, earliest: int) -> EpisodePairs:
        """Returns pairs.

        Args:
            edit: One of ``edits``.
            n: How many.
            seed: Seed of everything random.
            earliest: Step before which no decision is taken.
        """
        ...


@runtime_checkable
class Varied(Protocol):
    """A world of which there are others that the same model can read."""

    @property
    def variations(self) -> tuple[str, ...]:
        """What to vary when nothing else is asked for; each is one thing, such as ``task=B-C``."""
        ...

    def varied(self, variation: str) -> World:
        """Returns the world with one thing other: its task, its experts, what happens in it.

        Args:
            variation: What is other: one word, or NAME=VALUE.

        Raises:
            UserError: There is no such thing, or a model made for the world could not read it.
        """
        ...


@runtime_checkable
class Recorded(Protocol):
    """A world whose demonstrations may be recorded ones, of which there are only so many."""

    @property
    def has_recorded(self) -> bool:
        """Whether they are."""
        ...

    def recorded(
        self,
        n: int,
        seed: Seed,
        part: Literal["train", "fit", "test"] = "train",
        epsilon: float = 0.0,
    ) -> Trajectories:
        """Draws at most ``n`` of one part; parts share nothing."""
        ...


def has_recorded(world: object) -> bool:
    """Whether a world's demonstrations are recorded ones, of which there are only so many."""
    return isinstance(world, Recorded) and world.has_recorded


@runtime_checkable
class Telling(Protocol):
    """A world whose demonstrations take their time, and which tells meanwhile how many."""

    def demonstrate_telling(self, n: int, seed: Seed, told: Callable[[int], None]) -> Trajectories:
        """Returns what ``demonstrate(n, seed)`` does, to the bit.

        Args:
            n: Number of trajectories.
            seed: Seed of everything random.
            told: Called now and then with how many there are already.
        """
        ...


@runtime_checkable
class Fallible(Protocol):
    """A world whose expert may fail where its task can be done; in others it never does."""

    def attempts(
        self, n: int, seed: Seed, task: Literal["train", "heldout"], noise: bool = False
    ) -> Bool[NDArray[np.bool_], " n"]:
        """Lets the expert try tasks that can be done, once each; marks where it succeeds.

        Args:
            n: Number of episodes.
            seed: Seed of everything random.
            task: Training tasks, or the held-out one.
            noise: Draw actions as those of demonstrations are drawn; else take the best.
        """
        ...


@dataclass(frozen=True)
class Explanation:
    """What is to be done in a world, for who has never seen it.

    Attributes:
        text: A few sentences.
        picture: A drawing as SVG; "" for none.
    """

    text: str
    picture: str = ""


@runtime_checkable
class Explained(Protocol):
    """A world that explains itself."""

    @property
    def explanation(self) -> Explanation:
        """What is to be done in it."""
        ...


_OFFERS: dict[Offer, str] = {
    "labels": "labels of subgoals",
    "discrete": "actions out of a finite set",
    Filtered: "an exact Bayes filter",
    Mapped: "a map: places of the agent",
    Stageable: "situations to draw and edit",
    Retraceable: "situations to draw, edit and retrace a walk in",
    Walkable: "situations to draw, edit and walk through",
    Roamable: "rows without a task to roam on",
    Eventful: "events that its observations show",
    Paired: "pairs of clean and corrupted episodes",
    Varied: "things to vary: tasks, experts",
    Recorded: "recorded demonstrations",
    Telling: "news of demonstrations that are being played",
    Explained: "an explanation of itself",
    Fallible: "an expert that may fail",
    Practising: "a skill of its expert to train",
}


LABELS, DISCRETE = "labels", "discrete"
Offer = type | Literal["labels", "discrete"]
"""A contract: a protocol of this module, or one of the two that are no methods."""


def offers(world: World, contract: Offer) -> bool:
    """Whether a world keeps a contract."""
    if contract == LABELS:
        return bool(world.subgoal_names)
    if contract == DISCRETE:
        return isinstance(world.actions, DiscreteActions)
    return isinstance(world, contract)


def require(world: World, contracts: Sequence[Offer], purpose: str) -> None:
    """Refuses a world that does not keep all of some contracts.

    Args:
        world: The world.
        contracts: What is asked for.
        purpose: What it is asked for, such as "belief".

    Raises:
        NotOffered: It lacks one of them, or several; names all.
    """
    if lacks := [_OFFERS[contract] for contract in contracts if not offers(world, contract)]:
        every = " and ".join(filter(None, [", ".join(lacks[:-1]), lacks[-1]]))
        raise NotOffered(
            f"{purpose} needs {every}, which a {type(world).__name__} does not offer "
            "here; see irl_lens.envs.contracts, or take an analysis that does without"
        )


def ask(world: object, contract: type[T], purpose: str) -> T:
    """Returns a world as one that keeps a contract.

    Args:
        world: The world.
        contract: One of those of this module.
        purpose: What it is asked for, such as "the explorer".

    Raises:
        NotOffered: It does not; says what it lacks, and what for.
    """
    if isinstance(world, contract):
        return world
    names = sorted({n for base in contract.__mro__ for n in vars(base) if not n.startswith("_")})
    lacks = ", ".join(name for name in names if not hasattr(world, name))
    raise NotOffered(
        f"a {type(world).__name__} does not offer {_OFFERS[contract]}, which {purpose} needs: it "
        f"has no {lacks}; take a world that has, or see irl_lens.envs.contracts"
    )
