"""Edits of the two boards. A walk goes on as it was: it is seen on the edited board as it is.

Where the agent starts, or what it is asked for, is edited on both boards at once, and the
expert walks anew; where it cannot do the task, the model does.
"""

from __future__ import annotations

from dataclasses import replace

from irl_lens.analyses.explorer.actions import Action, plain_actions
from irl_lens.analyses.explorer.episodes import decisions
from irl_lens.analyses.explorer.rollouts import play
from irl_lens.analyses.explorer.state import SIDES, State
from irl_lens.analyses.explorer.workbench import Workbench
from irl_lens.envs.scenes import AGENT, TraceableSituation
from irl_lens.errors import UserError


def put(workbench: Workbench, state: State, name: str, place: float, side: str) -> State:
    """Moves a thing or the agent; what is there already takes its place.

    Args:
        workbench: The run.
        state: The boards as they are.
        name: What is moved.
        place: Where to, a whole number; checked here, as pages send what was typed.
        side: The board.

    Raises:
        UserError: There is no such thing, place or board.
    """
    situation = _of(workbench, state, side)
    scene = situation.scene()
    if type(place) is not int or not 0 <= place < scene.places:
        raise UserError(f"place {place!r}; take one from 0 to {scene.places - 1}")
    other = [t.name for t in scene.things if t.place == place]
    if place == scene.agent:
        other = [AGENT]
    if other:
        return swapped(workbench, state, name, other[0], side)
    if name != AGENT:
        return _with(state, side, situation.moved(name, place))
    both = [workbench.situation(plain).moved(name, place) for plain in (state.clean, state.edited)]
    return _anew(workbench, state, *both)


def swapped(workbench: Workbench, state: State, one: str, other: str, side: str) -> State:
    """Swaps two things, or the agent's start and one.

    Raises:
        ValueError: There is no such thing.
    """
    if AGENT not in (one, other):
        return _with(state, side, _of(workbench, state, side).swapped(one, other))
    both = (workbench.situation(plain) for plain in (state.clean, state.edited))
    return _anew(workbench, state, *(s.swapped(one, other) for s in both))


def asked(workbench: Workbench, state: State, task: str) -> State:
    """Asks for another task on both boards.

    Raises:
        UserError: It names what is no subgoal.
    """
    subgoals = _parsed(task, workbench.world.subgoal_names)
    both = [workbench.situation(plain).asked(subgoals) for plain in (state.clean, state.edited)]
    return _anew(workbench, state, *both)


def walked(workbench: Workbench, state: State, by: str) -> State:
    """Walks anew on the clean board.

    Raises:
        UserError: Nobody of that name walks.
        ValueError: The expert cannot do the task.
    """
    if by not in ("expert", "model"):
        raise UserError(f"no walker {by!r}; there are expert and model")
    situation = workbench.situation(state.clean)
    walk = _expert(workbench, situation, state) if by == "expert" else None
    return walk or _model(workbench, situation, state)


def _anew(
    workbench: Workbench, state: State, clean: TraceableSituation, edited: TraceableSituation
) -> State:
    changed = replace(state, clean=clean.plain(), edited=edited.plain())
    by = "expert" if clean.solvable else "model"
    return walked(workbench, changed, by)


def _expert(workbench: Workbench, situation: TraceableSituation, state: State) -> State:
    shown = situation.demonstrate(state.seed)
    stop = int(shown.lengths[0])
    walk = workbench.boards.places(shown.observations[0, :stop]).tolist()
    actions = plain_actions(shown.actions[0, :stop])
    return _along(state, tuple(walk), actions, [*decisions(shown), 0][0])


def _model(workbench: Workbench, situation: TraceableSituation, state: State) -> State:
    many = situation.scene().places
    out = play(workbench, situation, (), (), 1, state.rollout_seed, many)
    path, actions = out.walked(0)
    return _along(state, path[:-1], actions, 0)


def _along(state: State, walk: tuple[int, ...], actions: tuple[Action, ...], step: int) -> State:
    spots = tuple(spot for spot in state.spots if spot.step < len(walk))
    return replace(state, walk=walk, actions=actions, step=step, spots=spots, branches=())


def _of(workbench: Workbench, state: State, side: str) -> TraceableSituation:
    if side not in SIDES:
        raise UserError(f"no board {side!r}; there are {', '.join(SIDES)}")
    return workbench.situation(state.clean if side == "clean" else state.edited)


def _with(state: State, side: str, situation: TraceableSituation) -> State:
    return replace(state, **{side: situation.plain()}, branches=())


def _parsed(task: object, names: tuple[str, ...]) -> tuple[int, ...]:
    """Subgoals of a task as typed, between spaces or commas or, if names are letters, none."""
    words = str(task).replace(",", " ").split()
    if len(words) == 1 and words[0] not in names:
        words = list(words[0])
    if not words or any(word not in names for word in words):
        raise UserError(
            f"task {task!r}; name subgoals out of {', '.join(names)}, such as {names[0]}"
        )
    return tuple(names.index(word) for word in words)
