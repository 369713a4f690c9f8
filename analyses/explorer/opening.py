"""The first thing one sees: a pair of episodes in which one patch sends the agent elsewhere.

Demonstrations are cut at a decision, the first step after a visit, and two things are swapped:
the one to visit next and another that was not visited yet. Where actions are real vectors, one of
them goes to a free place instead: the mean of ways to either is the same when they are swapped.
Of the pairs in which the base
changes its mind most, the first is taken in which roll-outs go to one thing when nothing is
patched, and to another while a patch is held.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from irl_lens.analyses.explorer.actions import plain_actions
from irl_lens.analyses.explorer.outing import Outing
from irl_lens.analyses.explorer.patching import watched
from irl_lens.analyses.explorer.rollouts import roll
from irl_lens.analyses.explorer.state import Spot, State
from irl_lens.analyses.explorer.workbench import Workbench
from irl_lens.analyses.patching.metrics import metrics_of
from irl_lens.envs.scenes import Scene, Thing, TraceableSituation
from irl_lens.envs.spaces import DiscreteActions
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import UserError

EPISODES, TRIED, ROWS, CERTAIN, LONG = 48, 8, 16, 0.9, 100
"""Demonstrations looked at, pairs that are rolled out, in how many rows, and the share of them
that is enough; fewer demonstrations and pairs where episodes have more than so many steps."""


def begin(workbench: Workbench, seed: int) -> State:
    """The state of one episode, nothing edited: the expert's walk, at its first decision."""
    return of_situation(workbench, workbench.boards.situation(seed), seed)


def of_situation(workbench: Workbench, situation: TraceableSituation, seed: int) -> State:
    """The state of a situation in which the expert does the task.

    Raises:
        ValueError: It cannot be done.
    """
    return of_shown(workbench, situation, situation.demonstrate(seed), seed)


def of_shown(
    workbench: Workbench, situation: TraceableSituation, shown: Trajectories, seed: int
) -> State:
    """The state of a demonstration, of one row."""
    stop, steps = int(shown.lengths[0]), decisions(shown)
    walk = workbench.boards.places(shown.observations[0, :stop])
    actions = plain_actions(shown.actions[0, :stop])
    return State(
        seed=seed,
        clean=situation.plain(),
        edited=situation.plain(),
        walk=tuple(walk.tolist()),
        actions=actions,
        step=steps[0] if steps else 0,
        layer=max(1, workbench.layers // 2),
        metric=metrics_of(workbench.actions)[0],
    )


def decisions(shown: Trajectories) -> list[int]:
    """Steps of a demonstration right after a visit, when the next one is to be chosen."""
    progress = shown.require("progress")[0, : int(shown.lengths[0])]
    return (np.flatnonzero(np.diff(progress) > 0) + 1).tolist()


def opening(workbench: Workbench, seed: int = 0) -> State:
    """Finds the pair to begin with.

    Args:
        workbench: The run.
        seed: Seed of the episodes.
    """
    best, most = begin(workbench, seed), -1.0
    for state in _ranked(workbench, _edits(workbench, seed))[: _some(workbench, TRIED)]:
        gained = _redirected(workbench, state)
        best, most = (state, gained) if gained > most else (best, most)
        if gained > CERTAIN:
            break
    return best


def _edits(workbench: Workbench, seed: int) -> list[State]:
    """Two edits of each episode, where there are so many."""
    batch = workbench.world.demonstrate(_some(workbench, EPISODES), (seed, EPISODES))
    rng, found = np.random.default_rng(seed), []
    for row, situation in enumerate(workbench.boards.situations(batch)):
        shown = batch.rows(np.array([row]))
        if not _is_retraced(workbench, situation, shown):
            shown = situation.demonstrate(seed)
        state = of_shown(workbench, situation, shown, seed)
        if state.step:
            goal, others = _candidates(
                situation, state, int(shown.require("visits")[0, state.step])
            )
            if goal is not None:
                edits = _edited(workbench, situation, state, goal, others, rng)
                found += [replace(state, edited=edited.plain()) for edited in edits]
    return found


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


def _redirected(workbench: Workbench, state: State) -> float:
    """How many more roll-outs come upon what the clean ones come upon, with a patch held."""
    state = replace(state, rows=ROWS)
    last = Spot("residual post", workbench.layers, state.step, held=True)
    edited = workbench.situation(state.edited).scene()
    try:
        wanted = _aim(roll(workbench, replace(state, side="clean")), edited)
        before = roll(workbench, state)
    except UserError:  # the walk cannot be followed on the edited board
        return -1.0
    after = roll(workbench, replace(state, spots=(last,)), patches=True)
    return after.first(edited)[wanted] - before.first(edited)[wanted]


def _aim(outing: Outing, scene: Scene) -> str:
    """What most agents come upon first, by what lies there on another board."""
    found = outing.first(scene)
    return max(found, key=lambda name: found[name])
