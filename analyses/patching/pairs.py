"""Pairs of episodes, clean and corrupted, that differ in one edit of what is seen.

Both have the same actions and positions, so step t of one is step t of the other. Each pair
ends at a decision: the first step after a visit, where the next one has to be chosen.

The edits are those of :mod:`irl_lens.analyses.patching.edits`. A world may make pairs of its own,
and where nothing can be edited there are pairs of two demonstrations
(:mod:`irl_lens.analyses.patching.demonstration_pairs`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from irl_lens.analyses.patching.demonstration_pairs import demonstration_pairs
from irl_lens.analyses.patching.edits import EDITS, Change, Episode, Places
from irl_lens.arrays import NDArray
from irl_lens.data.demonstrations import Demonstrations
from irl_lens.envs.contracts import EpisodePairs, Paired
from irl_lens.envs.protocol import World
from irl_lens.envs.scenes import Walkable, WalkableSituation
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import UserError
from irl_lens.hooks.core.address import Indices, indices

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
