"""Pairs of episodes, clean and corrupted, that differ in one edit of what is seen.

Both have the same actions and positions, so step t of one is step t of the other. Each pair
ends at a decision: the first step after a visit, where the next one has to be chosen. But for
``history``, no object comes onto or leaves a cell walked on up to there, so the walk is as
possible on the edited board as on the true one. The edits:

    swap     the object to visit next and another one, not visited so far, change places
    move     the object to visit next is on another free cell
    add      an obstacle more, on the cell that the expert steps to
    remove   an obstacle less, the one nearest to the agent
    history  as swap, of the object visited last, and only up to that visit: the decision,
             one step later, is on the same board after another past

Training shows neither a changing board nor another number of obstacles: the last three take
the model somewhat out of what it has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from irl_lens.data import Stream
from irl_lens.envs.protocol import World
from irl_lens.envs.trajectories import Trajectories

Cells = Int[NDArray[np.int64], " _"]
Columns = Int[NDArray[np.int32], "_ _"]


@dataclass(frozen=True)
class Pairs:
    """Clean and corrupted episodes.

    Attributes:
        edit: Name of the edit.
        clean: Sparse observations, cut after the last decision, ``[pairs, steps, columns]``.
        corrupted: The same after the edit; a column more or less where that added or removed
            an object.
        decisions: Step of the decision, of each pair.
        changes: What was edited, of each pair.
    """

    edit: str
    clean: Int[NDArray[np.int32], "pairs steps columns"]
    corrupted: Int[NDArray[np.int32], "pairs steps edited_columns"]
    decisions: Int[NDArray[np.int64], " pairs"]
    changes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.changes)

    def rows(self, index: Sequence[int] | NDArray[np.integer]) -> Pairs:
        """Returns the selected pairs, cut after the last of their decisions."""
        index = np.asarray(index, np.int64)
        stop = int(self.decisions[index].max(initial=0)) + 1
        changes = tuple(self.changes[i] for i in index)
        seen = self.clean[index, :stop], self.corrupted[index, :stop]
        return Pairs(self.edit, *seen, self.decisions[index], changes)


@dataclass(frozen=True)
class Episode:
    """One demonstration up to a decision, as the edits see it.

    Attributes:
        objects: Cell of every object, those to be visited first, then the obstacles.
        walk: The agent's cells up to the decision.
        ahead: The cell that the expert steps to.
        goal: Object to visit next.
        last: Object visited last.
        visitable: Number of objects to be visited.
        size: Cells on a side of the board.
    """

    objects: Cells
    walk: Cells
    ahead: int
    goal: int
    last: int
    visitable: int
    size: int

    @property
    def free(self) -> Cells:
        """Cells with nothing on them that were not walked on."""
        return np.setdiff1d(np.arange(self.size**2), [*self.objects, *self.walk])

    @property
    def unvisited(self) -> list[int]:
        """Objects that can be visited and were not, the goal aside."""
        others = (i for i in range(self.visitable) if i != self.goal)
        return [i for i in others if self.objects[i] not in self.walk]

    @property
    def seen_before(self) -> bool:
        """Whether the goal was visited before, so that editing it would edit the past."""
        return self.objects[self.goal] in self.walk


@dataclass(frozen=True)
class Change:
    """One edit of one episode.

    Attributes:
        objects: Cell of every object after it.
        said: The edit in words, object ``{0}`` and ``{1}`` to be named.
        named: These objects.
        past: Whether it holds only before the decision.
        added: Cell of one obstacle more.
        removed: The obstacle that is gone.
    """

    objects: Cells
    said: str
    named: tuple[int, ...]
    past: bool = False
    added: int | None = None
    removed: int | None = None


Edit = Callable[[Episode, np.random.Generator], Change | None]


def swap(episode: Episode, rng: np.random.Generator) -> Change | None:
    """The goal and another object change places; None if one of them was visited."""
    if episode.seen_before:
        return None
    return _swapped(episode, episode.goal, rng, "{0} and {1} swapped")


def move(episode: Episode, rng: np.random.Generator) -> Change | None:
    """The goal is on another free cell; None if none is free, or it was visited before."""
    if episode.seen_before or not len(episode.free):
        return None
    objects = episode.objects.copy()
    objects[episode.goal] = rng.choice(episode.free)
    return Change(objects, "{0} moved", (episode.goal,))


def add(episode: Episode, rng: np.random.Generator) -> Change | None:
    """An obstacle more, on the expert's next cell; None if that is not free."""
    if episode.ahead not in episode.free:
        return None
    return Change(episode.objects, "obstacle added ahead", (), added=episode.ahead)


def remove(episode: Episode, rng: np.random.Generator) -> Change | None:
    """The obstacle nearest to the agent is gone; None if there is none."""
    obstacles = np.arange(episode.visitable, len(episode.objects))
    if not len(obstacles):
        return None
    there = np.stack(np.divmod(episode.objects[obstacles], episode.size))
    here = np.stack(np.divmod(episode.walk[-1:], episode.size))
    nearest = int(obstacles[np.abs(there - here).sum(axis=0).argmin()])
    return Change(episode.objects, "{0} removed", (nearest,), removed=nearest)


def history(episode: Episode, rng: np.random.Generator) -> Change | None:
    """In the past, the object visited last was another one; None if all others were visited."""
    return _swapped(episode, episode.last, rng, "visit of {0} was one of {1}", past=True)


EDITS: dict[str, Edit] = {
    "swap": swap,
    "move": move,
    "add": add,
    "remove": remove,
    "history": history,
}


def make_pairs(world: World, edit: str, n: int, seed: int = 0, earliest: int = 7) -> Pairs:
    """Edits fresh demonstrations.

    Args:
        world: Where they are played; its board must be known (``board`` and ``observer``).
        edit: One of :data:`EDITS`.
        n: Number of pairs.
        seed: Of the demonstrations and of the edits.
        earliest: Step before which no decision is taken, so that it has this much of a past.

    Raises:
        ValueError: No such edit, a world without a board, or one that has not enough episodes
            that can be edited so.
    """
    if edit not in EDITS:
        raise ValueError(f"no edit {edit!r}; there are {', '.join(EDITS)}")
    if not (hasattr(world, "board") and hasattr(world, "observer")):
        raise ValueError(f"{type(world).__name__} has no board to edit; take a world that has one")
    rng = np.random.default_rng((seed, list(EDITS).index(edit)))
    stream, found = Stream(world, seed, f"analysis-pairs-{edit}", n), []
    for batch in range(20):
        found += _edited(world, stream[batch], edit, earliest, rng)
        if len(found) >= n:
            return _stacked(edit, found[:n])
    raise ValueError(
        f"{len(found)} of {n} pairs by {edit!r} in {20 * n} episodes with a decision at step "
        f"{earliest} or later; ask for fewer, an earlier decision or another edit"
    )


Found = tuple[Columns, Columns, int, str]


def _edited(
    world: Any, batch: Trajectories, edit: str, earliest: int, rng: np.random.Generator
) -> Iterator[Found]:
    """Yields observations of a pair, its decision and what was edited, where there is one."""
    for row in range(len(batch)):
        decision = _decision(batch, row, earliest, later=edit == "history")
        if decision is None:
            continue
        change = EDITS[edit](_episode(world, batch, row, decision), rng)
        if change is not None:
            clean = batch.observations[row]
            corrupted = _seen(world, clean, batch.layouts.objects[row], change, decision)
            names = [world.observation.names[i] for i in change.named]
            yield clean, corrupted, decision, change.said.format(*names)


def _decision(batch: Trajectories, row: int, earliest: int, later: bool) -> int | None:
    """The first step after a visit, or the one later; None if it is another visit, or the end."""
    progress = batch.progress[row, : batch.lengths[row]]
    visited = np.append(False, np.diff(progress) > 0)
    marks = np.append(False, visited[:-1] & ~visited[1:]) if later else visited
    steps = np.flatnonzero(marks[:-1])
    steps = steps[steps >= earliest]
    return int(steps[0]) if len(steps) else None


def _episode(world: Any, batch: Trajectories, row: int, decision: int) -> Episode:
    cells, visits = _cells(world, batch.observations[row]), batch.visits[row]
    last = int(batch.progress[row, decision]) - 1
    return Episode(
        objects=batch.layouts.objects[row],
        walk=cells[: decision + 1],
        ahead=int(cells[decision + 1]),
        goal=int(visits[decision]),
        last=int(visits[np.flatnonzero(batch.progress[row] == last)[-1]]),
        visitable=len(world.visit_names),
        size=world.board.size,
    )


def _cells(world: Any, observations: Columns) -> Cells:
    agent = world.observation.predicted[0]
    return observations[:, agent] - world.observation.offsets[agent]


def _seen(world: Any, clean: Columns, objects: Cells, change: Change, decision: int) -> Columns:
    """The observations after the edit."""
    seen, count = clean.copy(), len(objects)
    stop = decision if change.past else len(clean)
    seen[:stop, :count] = _columns(world, clean, change.objects)[:stop]
    if change.removed is not None:
        return np.delete(seen, change.removed, axis=1)
    if change.added is None:
        return seen
    # One more with the look of the first obstacle: observations are sums over objects.
    objects, first = objects.copy(), len(world.visit_names)
    if first == count:
        raise ValueError("the world has no obstacles, so that none can be added; take another edit")
    objects[first] = change.added
    return np.append(seen, _columns(world, clean, objects)[:, first : first + 1], axis=1)


def _columns(world: Any, clean: Columns, objects: Cells) -> Columns:
    """The columns that show objects, at every step of a walk."""
    cells = _cells(world, clean)
    everywhere = np.broadcast_to(objects, (len(cells), len(objects)))
    return world.observer.encode(everywhere, cells, np.zeros_like(cells))[:, : len(objects)]


def _stacked(edit: str, found: list[Found]) -> Pairs:
    """Pads with the last step, which no decision sees, and cuts."""
    steps = max(decision for _, _, decision, _ in found) + 1
    index = [np.minimum(np.arange(steps), len(clean) - 1) for clean, *_ in found]
    clean, corrupted = (
        np.stack([pair[side][i] for pair, i in zip(found, index, strict=True)]) for side in (0, 1)
    )
    decisions = np.array([decision for _, _, decision, _ in found])
    return Pairs(edit, clean, corrupted, decisions, tuple(said for *_, said in found))


def _swapped(
    episode: Episode, one: int, rng: np.random.Generator, said: str, past: bool = False
) -> Change | None:
    others = [i for i in episode.unvisited if i != one]
    if not others:
        return None
    other, objects = int(rng.choice(others)), episode.objects.copy()
    objects[[one, other]] = objects[[other, one]]
    return Change(objects, said, (one, other), past)
