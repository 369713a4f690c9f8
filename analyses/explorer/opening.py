"""The first thing one sees: a pair of episodes in which patches and steering do most.

Demonstrations are edited at steps at which there is something to decide:

    what comes next     right after a visit, the thing to visit next is swapped with another one
    what was before     soon after a subgoal, its things are swapped with those of another one, so
                        that it is the other one that was reached: what tells is some steps back

Where actions are real vectors, there is the former alone, and the next thing goes to a free place
instead of being swapped: the mean of ways to either is the same. Of the edits of each kind in which
the base changes its mind most, that is taken in which patch, steering and earlier steps do most
together (:mod:`irl_lens.analyses.explorer.opening_effects`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch

from irl_lens.analyses.explorer.episodes import begin, decisions, of_shown
from irl_lens.analyses.explorer.opening_effects import ENOUGH, effects
from irl_lens.analyses.explorer.patching import watched
from irl_lens.analyses.explorer.state import State
from irl_lens.analyses.explorer.workbench import Workbench
from irl_lens.envs.scenes import Thing, TraceableSituation
from irl_lens.envs.spaces import DiscreteActions
from irl_lens.envs.trajectories import Trajectories

EPISODES, TRIED, LONG, LATER = 12, 3, 100, 4
"""Demonstrations looked at, edits of each kind that are tried out, fewer of both where episodes
have more than so many steps; and for how many steps after a subgoal it is edited."""
Visited = dict[int, tuple[int, ...]]
"""The things of each subgoal, in the order in which they are visited."""


def opening(workbench: Workbench, seed: int = 0) -> State:
    """Finds the pair to begin with.

    Args:
        workbench: The run.
        seed: Seed of the episodes.
    """
    tried = _some(workbench, TRIED)
    best, most = begin(workbench, seed), -1.0
    kinds = _edits(workbench, seed)
    for state in (s for states in kinds for s in _ranked(workbench, states)[:tried]):
        found = effects(workbench, state)
        best, most = (state, found) if found > most else (best, most)
        if found > ENOUGH:
            break
    return best


def _edits(workbench: Workbench, seed: int) -> tuple[list[State], list[State]]:
    """Edits of what was before, and of what comes next."""
    batch = workbench.world.demonstrate(_some(workbench, EPISODES), (seed, EPISODES))
    listed = isinstance(workbench.actions, DiscreteActions)
    visited, rng = _visited(batch) if listed else {}, np.random.default_rng(seed)
    before: list[State] = []
    after: list[State] = []
    for row, situation in enumerate(workbench.boards.situations(batch)):
        shown = batch.rows(np.array([row]))
        if not _is_retraced(workbench, situation, shown):
            shown = situation.demonstrate(seed)
        state = of_shown(workbench, situation, shown, seed)
        before += _before(situation, state, shown, visited)
        after += _after(workbench, situation, state, shown, rng)
    return before, after


def _visited(batch: Trajectories) -> Visited:
    """What demonstrations visit in each subgoal; nothing where they have no labels of them."""
    found: Visited = {}
    if batch.subgoals is None:
        return found
    for labels, visits, mask in zip(
        batch.subgoals, batch.require("visits"), batch.mask, strict=True
    ):
        for start, stop in _segments(labels[mask]):
            things = tuple(dict.fromkeys(visits[start:stop].tolist()))
            found.setdefault(int(labels[start]), things)
    return found


def _segments(labels: np.ndarray) -> list[tuple[int, int]]:
    """First step, and step after the last, of each stretch of one label."""
    cuts = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels)]
    return list(pairwise(cuts))


def _before(
    situation: TraceableSituation, state: State, shown: Trajectories, visited: Visited
) -> Iterator[State]:
    """Swaps the things of each subgoal that was reached with those of every other one."""
    things, stop = situation.scene().things, int(shown.lengths[0])
    segments = _segments(shown.subgoals[0, :stop]) if shown.subgoals is not None else []
    for start, end in segments[:-1]:
        done = int(shown.require("subgoals")[0, start])
        for other in visited.keys() - {done}:
            swapped = situation
            for one, two in zip(visited.get(done, ()), visited[other], strict=False):
                swapped = swapped.swapped(things[one].name, things[two].name)
            seen = {things[thing].place for thing in visited[other]} & set(state.walk[: end + 1])
            steps = range(end, min(end + LATER, len(state.walk)))
            yield from (
                replace(state, step=step, edited=swapped.plain()) for step in steps if not seen
            )


def _after(
    workbench: Workbench,
    situation: TraceableSituation,
    state: State,
    shown: Trajectories,
    rng: np.random.Generator,
) -> Iterator[State]:
    """Edits of the thing to visit next, at every decision."""
    visits = shown.require("visits")[0]
    for step in decisions(shown):
        at = replace(state, step=step)
        goal, others = _candidates(situation, at, int(visits[step]))
        if goal is not None:
            edits = _edited(workbench, situation, at, goal, others, rng)
            yield from (replace(at, edited=edited.plain()) for edited in edits)


def _edited(
    workbench: Workbench,
    situation: TraceableSituation,
    state: State,
    goal: str,
    others: list[str],
    rng: np.random.Generator,
) -> list[TraceableSituation]:
    """The goal swapped with others or, where actions are real, put at free places."""
    if isinstance(workbench.actions, DiscreteActions):
        return [situation.swapped(goal, str(x)) for x in rng.permutation(others)[:2]]
    scene = situation.scene()
    taken = {scene.agent, *state.walk, *(thing.place for thing in scene.things)}
    free = [place for place in range(scene.places) if place not in taken]
    return [situation.moved(goal, int(place)) for place in rng.permutation(free)[:2]]


def _some(workbench: Workbench, many: int) -> int:
    """As many, or fewer where episodes are long."""
    return max(2, many * LONG // max(LONG, workbench.world.horizon))


def _is_retraced(workbench: Workbench, situation: TraceableSituation, shown: Trajectories) -> bool:
    """Whether what was shown is what is seen there along the same walk.

    A body whose start is known to an observation's precision soon goes elsewhere.
    """
    walk, actions = workbench.boards.places(shown.observations[0]), shown.actions[0]
    return bool((situation.retraced(walk, actions).observations == shown.observations).all())


def _ranked(workbench: Workbench, states: list[State]) -> list[State]:
    """Those in which the edit changes the preferred action, most of all first.

    Of real actions, of which none is preferred, those in which it moves the mean most.
    """
    if not states:
        return []
    tensor = workbench.loaded.base.tensor
    at = tensor(np.arange(len(states))), tensor(np.array([state.step for state in states]))
    clean, edited = (
        _logits(workbench, [watched(workbench, s, getattr(s, side))[0] for s in states])[at]
        for side in ("clean", "edited")
    )
    if not isinstance(workbench.actions, DiscreteActions):
        moved = workbench.loaded.base.action_head.kl(clean, edited)
        return [states[i] for i in moved.argsort(descending=True).tolist()]
    best, other = clean.argmax(dim=-1), edited.argmax(dim=-1)
    gains = (clean - edited)[at[0], best] + (edited - clean)[at[0], other]
    order = gains.argsort(descending=True).tolist()
    return [states[i] for i in order if best[i] != other[i]]


@torch.no_grad()
def _logits(workbench: Workbench, seen: list[np.ndarray]) -> torch.Tensor:
    """Logits of sequences of several lengths, each padded with its last step."""
    steps = max(map(len, seen))
    padded = np.stack([x[np.minimum(np.arange(steps), len(x) - 1)] for x in seen])
    with workbench.lock:
        return workbench.loaded.base.logits(workbench.loaded.base.tensor(padded)).float()


def _candidates(
    situation: TraceableSituation, state: State, visit: int
) -> tuple[str | None, list[str]]:
    """The thing to visit next and others, none on the walk so far nor next to the agent."""
    scene, seen = situation.scene(), set(state.walk[: state.step + 1])
    things = [thing for thing in scene.things if not thing.solid]
    here = np.array(scene.xy(state.walk[state.step]))

    def far(thing: Thing) -> bool:
        """Whether a thing is off the walk and some steps away."""
        away = int(np.abs(np.array(scene.xy(thing.place)) - here).sum())
        return thing.place not in seen and away > 2

    names = [thing.name for thing in things if far(thing)]
    goal = things[visit].name
    return (goal if goal in names else None), [name for name in names if name != goal]
