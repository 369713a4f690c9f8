"""What a state may be, given a run: every change is checked here before it is made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import isfinite

from irl_lens.analyses.explorer.actions import check_actions
from irl_lens.analyses.explorer.patching import check_spot
from irl_lens.analyses.explorer.rollouts import controller
from irl_lens.analyses.explorer.state import (
    COMPONENTS,
    GATES,
    LONGEST_STACK,
    LONGEST_TREE,
    MOST_ROWS,
    MOST_SEED,
    SIDES,
    STEERING_KINDS,
    State,
    Steering,
)
from irl_lens.analyses.explorer.workbench import Workbench
from irl_lens.analyses.patching.metrics import metrics_of
from irl_lens.envs.spaces import DiscreteActions
from irl_lens.errors import UserError


def checked(workbench: Workbench, state: State) -> State:
    """Returns a state if all of it makes sense.

    Raises:
        UserError: A value that there is not; names it, its limits, and so the remedy.
        ValueError: A situation that is none of this world.
    """
    clean = workbench.situation(state.clean)
    workbench.situation(state.edited)
    horizon, places = workbench.world.horizon, clean.scene().places
    steps = len(state.walk)
    if not 1 <= steps <= horizon or len(state.actions) != steps:
        raise UserError(
            f"a walk of {steps} places and {len(state.actions)} actions; give as many of both, "
            f"from 1 to {horizon}"
        )
    _within("step", state.step, 0, steps - 1)
    # An agent that is at a place and no more is nowhere else; a body may be off the map.
    _within("place of the walk", min(state.walk), 0 if workbench.walkable else -1, places - 1)
    _within("place of the walk", max(state.walk), 0, places - 1)
    _actions(workbench, state)
    _within("layer", state.layer, 1, workbench.layers)
    _within("number of roll-outs", state.rows, 1, MOST_ROWS)
    _within("seed of the roll-outs", state.rollout_seed, 0, MOST_SEED)
    _within("number of patches", len(state.spots), 0, LONGEST_STACK)
    _within("number of branches", len(state.branches), 0, LONGEST_TREE)
    _among("component", state.component, COMPONENTS)
    _among("metric", state.metric, metrics_of(workbench.actions))
    _among("board", state.side, SIDES)
    for spot in state.spots:
        check_spot(workbench, replace(state, step=steps - 1), spot)
    check_steering(workbench, state, state.steering)
    return state


def check_steering(workbench: Workbench, state: State, steering: Steering) -> None:
    """Refuses what cannot act.

    Raises:
        UserError: See :func:`checked`.
    """
    _among("steering", steering.kind, STEERING_KINDS)
    _among("gate", steering.gate, GATES)
    if not isfinite(steering.strength) or abs(steering.strength) > 100:
        raise UserError(f"strength {steering.strength}; take one from -100 to 100")
    if steering.kind == "controller":
        controller(workbench, steering)
    if steering.kind == "code":
        _code(workbench, steering.code)
    if steering.forced is not None:
        _within("forced step", steering.forced, 0, workbench.world.horizon - 1)


def check_branches(workbench: Workbench, state: State) -> None:
    """Refuses branches of a state from elsewhere that nobody can have grown.

    Raises:
        UserError: See :func:`checked`.
    """
    places = workbench.situation(state.clean).scene().places
    parents: list[int | None] = [None]
    for branch in state.branches:
        if branch.number in parents:
            raise UserError(f"two branches are number {branch.number}; give each its own")
        if branch.parent not in parents:
            raise UserError(f"branch {branch.number} leaves {branch.parent}; there is no such one")
        parents.append(branch.number)
        steps = len(branch.actions)
        if len(branch.path) != steps + 1:
            raise UserError(f"branch {branch.number}: {len(branch.path)} places, {steps} actions")
        check_actions(workbench.actions, branch.actions)
        _among("board", branch.side, SIDES)
        _within("step of the fork", branch.fork, 0, steps)
        _within("seed of a branch", branch.seed, 0, MOST_SEED)
        _within("place of a branch", min(branch.path), 0 if workbench.walkable else -1, places - 1)
        _within("place of a branch", max(branch.path), 0, places - 1)
        for reached in branch.reached:
            _within("subgoal", reached, 0, len(workbench.world.subgoal_names) - 1)
        for spot in branch.spots:
            check_spot(workbench, replace(state, step=len(state.walk) - 1), spot)
        for segment in branch.segments:
            _within("step of a segment", segment.since, 0, steps)
            check_steering(workbench, state, segment.steering)


def _code(workbench: Workbench, code: tuple[float, ...] | None) -> None:
    size = workbench.acting.decoder.n_z
    if code is None or len(code) != size:
        raise UserError(f"a code of {len(code or ())} numbers; the model's have {size}")
    if not all(isfinite(x) and abs(x) <= 1_000 for x in code):
        raise UserError(f"code {code}; take finite numbers from -1000 to 1000")


def _actions(workbench: Workbench, state: State) -> None:
    spec, asked = workbench.actions, [x for x in (state.why, state.rather) if x is not None]
    check_actions(spec, state.actions)
    if asked and not isinstance(spec, DiscreteActions):
        raise UserError(f"action {asked[0]} is asked about; {spec.described()} have no numbers")
    check_actions(spec, asked)
    if len(asked) == 2 and asked[0] == asked[1]:
        name = workbench.move_names[asked[0]]
        raise UserError(f"why {name} rather than {name}? choose two actions, or one by the edit")


def _within(name: str, value: object, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise UserError(f"{name} {value!r}; take a whole number from {low} to {high}")


def _among(name: str, value: object, known: Iterable[str]) -> None:
    if value not in (known := tuple(known)):
        raise UserError(f"no {name} {value!r}; there are {', '.join(known)}")
