"""Edits of one episode, each of which changes what is to be done next.

But for ``history``, nothing comes onto or leaves a place walked on up to the decision, so the walk
is as possible in the edited situation as in the true one:

    swap     the thing to visit next and another one, not visited so far, change places
    move     the thing to visit next is at another free place
    add      an obstacle more, at the place that the expert steps to
    remove   an obstacle less, the one nearest to the agent
    history  as swap, of the thing visited last, and only up to that visit: the decision,
             one step later, is in the same situation after another past

Training shows neither a changing board nor another number of obstacles: the last three take
the model somewhat out of what it has seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int

from irl_lens.arrays import NDArray
from irl_lens.envs.scenes import Thing, WalkableSituation

Places = Int[NDArray[np.int64], " _"]


@dataclass(frozen=True)
class Episode:
    """One demonstration up to a decision, as the edits see it.

    Attributes:
        situation: What it took place in.
        walk: The agent's places up to the decision.
        ahead: The place that the expert steps to.
        goal: What to visit next.
        last: What was visited last.
    """

    situation: WalkableSituation
    walk: Places
    ahead: int
    goal: Thing
    last: Thing

    @cached_property
    def things(self) -> tuple[Thing, ...]:
        """All that lies there."""
        return self.situation.scene().things

    @property
    def obstacles(self) -> list[Thing]:
        """What is in the way."""
        return [thing for thing in self.things if thing.solid]

    @property
    def free(self) -> Places:
        """Places with nothing on them that were not walked on."""
        taken = [*(thing.place for thing in self.things), *self.walk]
        return np.setdiff1d(np.arange(self.situation.scene().places), taken)

    @property
    def unvisited(self) -> list[Thing]:
        """What can be visited and was not, the goal aside."""
        others = (t for t in self.things if not t.solid and t != self.goal)
        return [thing for thing in others if thing.place not in self.walk]

    @property
    def seen_before(self) -> bool:
        """Whether the goal was visited before, so that editing it would edit the past."""
        return self.goal.place in self.walk


@dataclass(frozen=True)
class Change:
    """One edit of one episode.

    Attributes:
        after: The situation after it.
        said: The edit in words.
        past: Whether it holds only before the decision.
        added: A thing that looks, in the situation after, as one more does.
        removed: A thing that is gone.
    """

    after: WalkableSituation
    said: str
    past: bool = False
    added: str | None = None
    removed: str | None = None


Edit = Callable[[Episode, np.random.Generator], Change | None]


def swap(episode: Episode, rng: np.random.Generator) -> Change | None:
    """The goal and another thing change places; None if one of them was visited."""
    if episode.seen_before or (other := _other(episode, episode.goal, rng)) is None:
        return None
    goal = episode.goal.name
    return Change(episode.situation.swapped(goal, other), f"{goal} and {other} swapped")


def move(episode: Episode, rng: np.random.Generator) -> Change | None:
    """The goal is at another free place; None if none is free, or it was visited before."""
    if episode.seen_before or not len(episode.free):
        return None
    goal, place = episode.goal.name, int(rng.choice(episode.free))
    return Change(episode.situation.moved(goal, place), f"{goal} moved")


def add(episode: Episode, rng: np.random.Generator) -> Change | None:
    """An obstacle more, at the expert's next place; None if that is not free."""
    if episode.ahead not in episode.free:
        return None
    if not episode.obstacles:
        raise ValueError("the world has no obstacles, so that none can be added; take another edit")
    # One more with the look of the first: observations are sums over things.
    like = episode.obstacles[0].name
    after = episode.situation.moved(like, episode.ahead)
    return Change(after, "obstacle added ahead", added=like)


def remove(episode: Episode, rng: np.random.Generator) -> Change | None:
    """The obstacle nearest to the agent is gone; None if there is none."""
    if not episode.obstacles:
        return None
    scene = episode.situation.scene()
    there = np.stack(scene.xy(np.array([thing.place for thing in episode.obstacles])))
    here = np.stack(scene.xy(episode.walk[-1:]))
    nearest = episode.obstacles[int(np.abs(there - here).sum(axis=0).argmin())].name
    return Change(episode.situation, f"{nearest} removed", removed=nearest)


def history(episode: Episode, rng: np.random.Generator) -> Change | None:
    """In the past, the thing visited last was another one; None if all others were visited."""
    last, other = episode.last.name, _other(episode, episode.last, rng)
    if other is None:
        return None
    said = f"visit of {last} was one of {other}"
    return Change(episode.situation.swapped(last, other), said, past=True)


EDITS: dict[str, Edit] = {
    "swap": swap,
    "move": move,
    "add": add,
    "remove": remove,
    "history": history,
}


def _other(episode: Episode, one: Thing, rng: np.random.Generator) -> str | None:
    """Name of a thing to swap with."""
    others = [thing.name for thing in episode.unvisited if thing != one]
    return str(rng.choice(others)) if others else None
