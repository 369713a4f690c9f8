"""Pairs of episodes, clean and corrupted, that differ in one edit of what is seen.

Both have the same actions and positions, so step t of one is step t of the other. Each pair
ends at a decision: the first step after a visit, where the next one has to be chosen. But for
``history``, nothing comes onto or leaves a place walked on up to there, so the walk is as
possible in the edited situation as in the true one. The edits:

    swap     the thing to visit next and another one, not visited so far, change places
    move     the thing to visit next is at another free place
    add      an obstacle more, at the place that the expert steps to
    remove   an obstacle less, the one nearest to the agent
    history  as swap, of the thing visited last, and only up to that visit: the decision,
             one step later, is in the same situation after another past

A world may make pairs of its own, and where nothing can be edited there are pairs of two
demonstrations (:mod:`irl_lens.analyses.patching.demonstration_pairs`).

Training shows neither a changing board nor another number of obstacles: the last three take
the model somewhat out of what it has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from irl_lens.analyses.patching.demonstration_pairs import demonstration_pairs
from irl_lens.arrays import NDArray
from irl_lens.data.demonstrations import Demonstrations
from irl_lens.envs.contracts import EpisodePairs, Paired
from irl_lens.envs.protocol import World
from irl_lens.envs.scenes import Thing, Walkable, WalkableSituation
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import UserError
from irl_lens.hooks.core.address import Indices, indices

Places = Int[NDArray[np.int64], " _"]
Columns = Int[NDArray[np.int32], "_ _"]
Observations = (
    Int[NDArray[np.int32], "pairs steps columns"]
    | Float[NDArray[np.float32], "pairs steps size"]
    | Int[NDArray[np.int64], "pairs steps"]
)
"""As a model reads them: sparse, or dense, or tokens."""


@dataclass(frozen=True)
class Pairs:
    """Clean and corrupted episodes.

    Attributes:
        edit: Name of the edit.
        clean: Observations, cut after the last decision, ``[pairs, steps, columns]``; or
            tokens of a language model, ``[pairs, steps]``.
        corrupted: The same after the edit; dense where it added or removed an object, and so an
            entry.
        decisions: Step of the decision, of each pair.
        changes: What was edited, of each pair.
    """

    edit: str
    clean: Observations
    corrupted: Observations
    decisions: Int[NDArray[np.int64], " pairs"]
    changes: tuple[str, ...]

    @classmethod
    def of(cls, edit: str, episodes: EpisodePairs) -> Pairs:
        """Returns the pairs that a world, or anyone, has made."""
        seen = episodes.clean, episodes.corrupted
        return cls(edit, *seen, episodes.decisions, episodes.changes)

    def __len__(self) -> int:
        return len(self.changes)

    def rows(self, index: Indices) -> Pairs:
        """Returns the selected pairs, cut after the last of their decisions.

        Raises:
            ValueError: what is no index, such as a mask.
        """
        index = np.array(indices("pair", index), np.int64)
        stop = int(self.decisions[index].max(initial=0)) + 1
        changes = tuple(self.changes[i] for i in index)
        seen = self.clean[index, :stop], self.corrupted[index, :stop]
        return Pairs(self.edit, *seen, self.decisions[index], changes)


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


DEMONSTRATION = "demonstration"
"""The edit that takes another demonstration altogether; see ``demonstration_pairs``."""


def edits_of(world: World) -> tuple[str, ...]:
    """Names the edits that a world allows, the usual one first."""
    own = world.edits if isinstance(world, Paired) else ()
    return (*own, *(EDITS if isinstance(world, Walkable) and not own else ()), DEMONSTRATION)


def make_pairs(world: World, edit: str, n: int, seed: int = 0, earliest: int = 7) -> Pairs:
    """Edits fresh demonstrations.

    Args:
        world: Where they are played.
        edit: One of :func:`edits_of` it.
        n: Number of pairs.
        seed: Seed of the demonstrations and of the edits.
        earliest: Step before which no decision is taken, so that it has this much of a past.

    Raises:
        UserError: The world has no such edit, or not enough episodes that can be edited so.
    """
    if edit not in (there := edits_of(world)):
        raise UserError(f"no edit {edit!r}; there are {', '.join(there)} in this world")
    if edit == DEMONSTRATION:
        return Pairs.of(edit, demonstration_pairs(world, n, seed, earliest))
    if isinstance(world, Paired):
        return Pairs.of(edit, world.pairs(edit, n, seed, earliest))
    rng = np.random.default_rng((seed, list(EDITS).index(edit)))
    stream, found = Demonstrations(world, seed, f"analysis-pairs-{edit}", n), []
    for batch in range(20):
        found += _edited(world, stream[batch], edit, earliest, rng)
        if len(found) >= n:
            return _stacked(world, edit, found[:n])
    raise UserError(
        f"{len(found)} of {n} pairs by {edit!r} in {20 * n} episodes with a decision at step "
        f"{earliest} or later; ask for fewer, an earlier decision or another edit"
    )


Found = tuple[Columns, Columns, int, str]


def _edited(
    world: World, batch: Trajectories, edit: str, earliest: int, rng: np.random.Generator
) -> Iterator[Found]:
    """Yields observations of a pair, its decision and what was edited, where there is one."""
    assert isinstance(world, Walkable)
    walks = world.places(batch.observations)
    for row, situation in enumerate(world.situations(batch)):
        decision = _decision(batch, row, earliest, later=edit == "history")
        if decision is None:
            continue
        change = EDITS[edit](_episode(world, situation, walks[row], batch, row, decision), rng)
        if change is not None:
            clean = batch.observations[row]
            yield clean, _seen(world, clean, walks[row], change, decision), decision, change.said


def _decision(batch: Trajectories, row: int, earliest: int, later: bool) -> int | None:
    """The first step after a visit, or the one later; None if it is another visit, or the end."""
    progress = batch.require("progress")[row, : batch.lengths[row]]
    visited = np.append(False, np.diff(progress) > 0)
    marks = np.append(False, visited[:-1] & ~visited[1:]) if later else visited
    steps = np.flatnonzero(marks[:-1])
    steps = steps[steps >= earliest]
    return int(steps[0]) if len(steps) else None


def _episode(
    world: World,
    situation: WalkableSituation,
    walk: Places,
    batch: Trajectories,
    row: int,
    decision: int,
) -> Episode:
    labelled = {thing.label: thing for thing in situation.scene().things if not thing.solid}
    visits = [labelled[name] for name in world.visit_names]
    progress, pursued = batch.require("progress")[row], batch.require("visits")[row]
    before = np.flatnonzero(progress == progress[decision] - 1)[-1]
    return Episode(
        situation=situation,
        walk=walk[: decision + 1],
        ahead=int(walk[decision + 1]),
        goal=visits[pursued[decision]],
        last=visits[pursued[before]],
    )


def _seen(world: World, clean: Columns, walk: Places, change: Change, decision: int) -> Columns:
    """The observations after the edit; a column is named after the thing that it shows."""
    columns = world.observation.names
    if change.removed is not None:
        return np.delete(clean, columns.index(change.removed), axis=1)
    seen = change.after.watch(walk[None])[0]
    if change.added is not None:
        return np.column_stack([clean, seen[:, columns.index(change.added)]])
    return np.concatenate([seen[:decision], clean[decision:]]) if change.past else seen


def _stacked(world: World, edit: str, found: list[Found]) -> Pairs:
    """Pads with the last step, which no decision sees, and cuts."""
    steps = max(decision for _, _, decision, _ in found) + 1
    clean = np.stack([_padded(clean, steps) for clean, *_ in found])
    corrupted = np.stack([_padded(edited, steps) for _, edited, *_ in found])
    if clean.shape != corrupted.shape:
        corrupted = world.observation.dense(corrupted)
    decisions = np.array([decision for _, _, decision, _ in found])
    return Pairs(edit, clean, corrupted, decisions, tuple(said for *_, said in found))


def _padded(seen: Columns, steps: int) -> Columns:
    return seen[np.minimum(np.arange(steps), len(seen) - 1)]


def _other(episode: Episode, one: Thing, rng: np.random.Generator) -> str | None:
    """Name of a thing to swap with."""
    others = [thing.name for thing in episode.unvisited if thing != one]
    return str(rng.choice(others)) if others else None
