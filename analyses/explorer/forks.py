"""Futures: each leaves the walk, or another future, at a step, with what acts from there on.

A branch takes over its parent's actions and all that acted up to the fork, so that board,
cache and the gate's memory are exactly the parent's there; then its own steering and seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from irl_lens.analyses.explorer.patching import active
from irl_lens.analyses.explorer.rollouts import Tick, followed, hooks, play, walked
from irl_lens.analyses.explorer.state import LONGEST_TREE, Branch, Segment, State
from irl_lens.analyses.explorer.workbench import Workbench
from irl_lens.errors import UserError

GROUND = ("clean", "edited", "walk", "actions", "branches", "checkpoint")
"""What a branch that is growing stands on."""


def branch(state: State, number: int) -> Branch:
    """Looks a branch up.

    Raises:
        UserError: There is none of that number.
    """
    for found in state.branches:
        if found.number == number:
            return found
    there = ", ".join(str(b.number) for b in state.branches) or "none yet"
    raise UserError(f"no branch {number}; there are {there}")


def fork(
    workbench: Workbench,
    state: State,
    step: int | None = None,
    parent: int | None = None,
    tick: Tick | None = None,
) -> Branch:
    """Plays a future with the present steering, on until the agent strays or time is over.

    Args:
        workbench: The run.
        state: Its walk, patches, steering and seed are used.
        step: Where to leave; the step looked at if None.
        parent: The branch to leave; the walk if None.
        tick: Told of every step.

    Raises:
        UserError: No such parent or step, or as many branches as there may be.
    """
    if len(state.branches) >= LONGEST_TREE:
        raise UserError(f"{LONGEST_TREE} branches; drop one before growing another")
    step = state.step if step is None else step
    number = max((b.number for b in state.branches), default=0) + 1
    begun = _from_walk(workbench, state, step) if parent is None else branch(state, parent)
    if not 0 <= step < len(begun.path):
        raise UserError(f"step {step}; branch {parent} has steps 0 to {len(begun.path) - 1}")
    before = tuple(s for s in begun.segments if s.since < step)
    child = replace(
        begun,
        number=number,
        parent=parent,
        fork=step,
        segments=(*before, Segment(step, state.steering, state.rollout_seed)),
        seed=state.rollout_seed,
        actions=begun.actions[:step],
    )
    return played(workbench, state, child, tick)


def grafted(now: State, before: State, grown: Branch) -> State:
    """Returns the present state with a branch that was begun on one of before.

    Raises:
        UserError: What the branch stands on was changed while it grew.
    """
    if any(getattr(now, name) != getattr(before, name) for name in GROUND):
        raise UserError("boards, walk or branches were changed while it grew; fork again")
    return replace(now, branches=(*now.branches, grown), rollout_seed=before.rollout_seed)


def played(workbench: Workbench, state: State, made: Branch, tick: Tick | None = None) -> Branch:
    """Plays a branch from its start: its actions, then its own."""
    plain = state.edited if made.side == "edited" else state.clean
    situation = workbench.situation(plain)
    parts, walk = hooks(workbench, made.segments, 1), None
    if made.spots:
        at = replace(state, spots=made.spots, step=max(spot.step for spot in made.spots))
        walk = walked(workbench, at)
    many = 1, made.seed, situation.scene().places
    out = play(workbench, situation, made.actions, parts, *many, tick, walk)
    done = out.reached[0][out.reached[0] >= 0]
    path, actions = out.walked(0)
    return replace(made, actions=actions, path=path, reached=tuple(done.tolist()))


def parted(one: Branch, other: Branch) -> int | None:
    """The first step at which two branches are at different places; None if there is none."""
    n = min(len(one.path), len(other.path))
    differs = np.flatnonzero(np.array(one.path[:n]) != np.array(other.path[:n]))
    if len(differs):
        return int(differs[0])
    return None if len(one.path) == len(other.path) else n


def table(workbench: Workbench, state: State) -> pd.DataFrame:
    """Returns one row a branch."""
    names = workbench.world.subgoal_names
    rows = [
        {
            "branch": b.number,
            "from": "walk" if b.parent is None else f"branch {b.parent}",
            "fork": b.fork,
            "board": b.side,
            "patches": len(b.spots),
            "steering": said(b.segments[-1]),
            "seed": b.seed,
            "steps": len(b.path) - 1,
            "reached": reached(b, names),
        }
        for b in state.branches
    ]
    return pd.DataFrame(rows)


def reached(found: Branch, names: Sequence[str]) -> str:
    """The subgoals that a branch reached, in a few words."""
    return " ".join(names[g] for g in found.reached) or "no subgoal"


def said(segment: Segment) -> str:
    """A segment in a few words."""
    steering = segment.steering
    if steering.kind == "controller":
        strength = "" if steering.strength == 1 else f" × {steering.strength:g}"
        return f"controller {steering.name}, layer {steering.layer}{strength}"
    if steering.kind == "code":
        gate = "held" if steering.gate == "off" else "until the gate opens"
        return f"code {gate}"
    return "nothing"


def _from_walk(workbench: Workbench, state: State, step: int) -> Branch:
    """The walk itself, as what a branch leaves."""
    if not 0 <= step < len(state.walk):
        raise UserError(f"step {step}; the walk has steps 0 to {len(state.walk) - 1}")
    at = replace(state, step=step)
    plain = state.edited if state.side == "edited" else state.clean
    followed(workbench.situation(plain), at)
    spots = active(at) if state.side == "edited" else ()
    return Branch(
        0, None, step, state.side, spots, (), state.rollout_seed, state.actions, state.walk, ()
    )
