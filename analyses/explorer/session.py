"""One session of the explorer, without any page: set, undo, compute, view.

    >>> import irl_lens
    >>> from irl_lens.analyses.explorer import Explorer
    >>> session = Explorer.open(irl_lens.load("grid"))
    >>> before = session.state
    >>> session.patch(layer=2, step=before.step)
    >>> session.state.spots[0].layer, session.undo().state == before
    (2, True)

A method that refuses what it is given raises ``UserError`` or ``ValueError`` and leaves the
state as it was. Results are kept for the last few states only.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, replace
from threading import RLock
from typing import Any, Self, TypeVar

import numpy as np
from jaxtyping import Float

from irl_lens.analyses.explorer import edits, forks, patching, rollouts
from irl_lens.analyses.explorer.action_fields import Fields, fields
from irl_lens.analyses.explorer.actions import no_action
from irl_lens.analyses.explorer.opening import begin, opening
from irl_lens.analyses.explorer.outing import Outing
from irl_lens.analyses.explorer.readings import Reading, readings
from irl_lens.analyses.explorer.rollouts import Tick
from irl_lens.analyses.explorer.settings import checked
from irl_lens.analyses.explorer.state import LONGEST_STACK, SIDES, Spot, State, Steering
from irl_lens.analyses.explorer.steering_shift import NextAction, steering_shift
from irl_lens.analyses.explorer.workbench import Workbench
from irl_lens.arrays import NDArray
from irl_lens.errors import UserError
from irl_lens.hooks.files.json_text import to_json
from irl_lens.runs.run import Run

HISTORY, KEPT = 50, 10
"""States that undo goes back to, and results that are kept."""
T = TypeVar("T")


class Explorer:
    """A state, its history, and what is computed from it.

    Args:
        workbench: The run, shared with other sessions.
        state: Where to begin; the opening pair if not given.

    Raises:
        UserError: The state is of no such run.
    """

    def __init__(self, workbench: Workbench, state: State | None = None) -> None:
        self._run, self.lock = workbench.final, RLock()
        begun = self._run.first(opening) if state is None else state
        self._states: list[State] = [checked(self._run.at(begun.checkpoint), begun)]
        self._results: OrderedDict[str, Any] = OrderedDict()

    @classmethod
    def open(cls, run: Run, state: dict[str, Any] | None = None, base: str | None = None) -> Self:
        """Opens a run, at a state's plain values if they are given.

        Args:
            run: The run.
            state: As :meth:`State.plain` gives it.
            base: Hash of the base model that the state was made with.

        Raises:
            UserError: The run has another base, or the state is of no such run.
        """
        workbench, begun = Workbench(run), None if state is None else State.of_plain(state)
        found = workbench.at(begun.checkpoint if begun else None).hash if base else None
        if base != found:
            raise UserError(
                f"the state was made with the base model {base}, {run.folder} has {found}; open "
                "the run it was made with"
            )
        return cls(workbench, begun)

    @property
    def workbench(self) -> Workbench:
        """The run, its base as it was at the state's checkpoint."""
        return self._run.at(self.state.checkpoint)

    @property
    def state(self) -> State:
        """The present state."""
        return self._states[-1]

    @property
    def can_undo(self) -> bool:
        """Whether there is a state to go back to."""
        return len(self._states) > 1

    def undo(self) -> Self:
        """Goes back one state; nothing if there is none."""
        with self.lock:
            if self.can_undo:
                self._states.pop()
        return self

    def set(self, **values: Any) -> Self:
        """Sets fields of the state.

        Raises:
            UserError: There is no such field or value.
        """
        with self.lock:
            if strange := values.keys() - asdict(self.state).keys():
                raise UserError(f"the state has no {sorted(strange)[0]!r}")
            return self._become(replace(self.state, **values))

    def rewind(self, checkpoint: int | None) -> Self:
        """Gives the base the weights that it had after some steps of training.

        Steering ends, as what steers was trained on the final base; branches go.

        Args:
            checkpoint: One of :attr:`Workbench.checkpoints`; the final base if None.

        Raises:
            UserError: The run kept no such checkpoint.
        """
        if checkpoint == self.state.checkpoint:
            return self
        return self.set(checkpoint=checkpoint, steering=Steering(), branches=())

    def draw(self, seed: int) -> Self:
        """Goes to another episode, nothing edited."""
        return self._become(self._kept(begin(self.workbench, _seed(seed))))

    def ask(self, task: str) -> Self:
        """Asks for another task, by names of subgoals such as ``"A C"`` or ``"AC"``."""
        return self._become(edits.asked(self.workbench, self.state, task))

    def put(self, name: str, place: int, side: str = "edited") -> Self:
        """Moves a thing or the agent; what is there already takes its place."""
        return self._become(edits.put(self.workbench, self.state, name, place, side))

    def swap(self, one: str, other: str, side: str = "edited") -> Self:
        """Swaps two things."""
        return self._become(edits.swapped(self.workbench, self.state, one, other, side))

    def mend(self) -> Self:
        """Makes the edited board equal to the clean one."""
        return self._become(replace(self.state, edited=self.state.clean, branches=()))

    def walk(self, by: str) -> Self:
        """Lets the ``"expert"`` or the ``"model"`` walk anew on the clean board."""
        return self._become(edits.walked(self.workbench, self.state, by))

    def patch(
        self,
        layer: int,
        step: int,
        head: int | None = None,
        component: str | None = None,
        held: bool = False,
    ) -> Self:
        """Puts a patch in force, or takes it out if it is."""
        spot = Spot(component or self.state.component, layer, step, head, held)
        patching.check_spot(self.workbench, self.state, spot)
        there = self.state.spots
        if spot in there:
            return self.set(spots=tuple(s for s in there if s != spot))
        if len(there) >= LONGEST_STACK:
            raise UserError(f"{LONGEST_STACK} patches are in force; take one out first")
        return self.set(spots=(*there, spot))

    def unpatch(self, index: int | None = None) -> Self:
        """Takes out one patch by its number in the list, or all."""
        there = self.state.spots
        if index is not None and not 0 <= index < len(there):
            raise UserError(f"no patch {index}; there are {len(there)}, counted from 0")
        kept = () if index is None else (*there[:index], *there[index + 1 :])
        return self.set(spots=kept)

    def steer(self, **values: Any) -> Self:
        """Sets what acts in roll-outs; see :class:`Steering`."""
        known = asdict(self.state.steering)
        if strange := sorted(values.keys() - known.keys()):
            raise UserError(f"steering has no {strange[0]!r}; there are {', '.join(known)}")
        return self.set(steering=replace(self.state.steering, **values))

    def fork(
        self,
        step: int | None = None,
        parent: int | None = None,
        tick: Tick | None = None,
        noise: int | None = None,
    ) -> Self:
        """Grows a branch.

        Args:
            step: Where it leaves; the step looked at if None.
            parent: The branch it leaves; the walk if None.
            tick: Told of every step.
            noise: Seed of its actions from now on; that of the state if None.

        Raises:
            UserError: There is no such step, parent or noise, there are too many branches, or
                boards, walk or branches were changed while it grew.
        """
        state, workbench = self.state, self.workbench
        state = checked(workbench, state if noise is None else replace(state, noise=noise))
        grown = forks.fork(workbench, state, step, parent, tick)
        with self.lock:
            return self._become(forks.grafted(self.state, state, grown))

    def open_branch(self, number: int) -> Self:
        """Makes a branch the walk, so that all of it can be looked at step by step."""
        found = forks.branch(self.state, number)
        still = no_action(self.workbench.actions)
        steps = {"walk": found.path[:-1] or found.path, "actions": found.actions or (still,)}
        return self.set(**steps, step=min(found.fork, len(steps["walk"]) - 1))

    def drop(self, number: int) -> Self:
        """Drops a branch and all that left it."""
        gone, branches = {forks.branch(self.state, number).number}, self.state.branches
        for found in branches:
            if found.parent in gone:
                gone.add(found.number)
        return self.set(branches=tuple(b for b in branches if b.number not in gone))

    def sweep(self, tick: Tick | None = None) -> patching.Sweep:
        """The heat map."""

        def swept(workbench: Workbench, state: State) -> patching.Sweep:
            """Sweeps."""
            return patching.swept(workbench, state, tick or (lambda step: None))

        return self._result("sweep", swept)

    def fields(self) -> Fields:
        """Where actions lead, at every place.

        Raises:
            NotOffered: Actions are no moves from place to place.
        """
        return self._result("fields", fields)

    def trail(self) -> Float[NDArray[np.float64], "steps 2"]:
        """Column and row at each step of the walk, exactly where the agent is."""
        state = self.state
        return self.workbench.trail(state.clean, state.walk, state.actions)

    def readings(self) -> dict[str, Reading]:
        """What the model and the filter make of the step looked at."""
        return self._result("readings", readings)

    def shift(self) -> dict[str, NextAction]:
        """The next action at the step looked at, by the base alone and with what steers."""
        return self._result("steered shift", steering_shift)

    def rollouts(
        self, patches: bool = False, steered: bool = False, tick: Tick | None = None
    ) -> Outing:
        """Roll-outs from the step looked at."""

        def roll(workbench: Workbench, state: State) -> Outing:
            """Rolls out."""
            return rollouts.roll(workbench, state, patches, steered, tick)

        return self._result(f"rollouts {patches} {steered}", roll)

    def ready(self, patches: bool = False, steered: bool = False) -> bool:
        """Whether roll-outs of the present state are there already."""
        return self._key(f"rollouts {patches} {steered}", self.state) in self._results

    @property
    def swept(self) -> bool:
        """Whether the heat map of the present state is there already."""
        return self._key("sweep", self.state) in self._results

    def view(self) -> dict[str, Any]:
        """JSON-able: the state, and what is read off it."""
        sweep = self.sweep()
        return {
            "run": str(self.workbench.run.folder),
            "base": self.workbench.hash,
            "checkpoints": list(self.workbench.checkpoints),
            "state": self.state.plain(),
            "can_undo": self.can_undo,
            "actions": list(self.workbench.move_names),
            "subgoals": list(self.workbench.world.subgoal_names),
            "readings": {name: asdict(reading) for name, reading in self.readings().items()},
            "sweep": asdict(sweep) | {"effects": sweep.effects.tolist()},
        }

    def _become(self, state: State) -> Self:
        with self.lock:
            state = checked(self._run.at(state.checkpoint), state)
            if state != self.state:
                self._states = [*self._states[-HISTORY:], state]
        return self

    def _kept(self, state: State) -> State:
        """Another episode, with the choices that are not about the episode."""
        now = self.state
        names = ("component", "layer", "metric", "why", "rather", "rows", "noise", "checkpoint")
        return replace(state, **{name: getattr(now, name) for name in names})

    def _result(self, name: str, compute: Callable[[Workbench, State], T]) -> T:
        state = self.state
        key = self._key(name, state)
        if key not in self._results:
            found = compute(self._run.at(state.checkpoint), state)
            with self.lock:
                self._results[key] = found
                while len(self._results) > KEPT:
                    self._results.popitem(last=False)
            return found
        return self._results[key]

    def _key(self, name: str, state: State) -> str:
        plain = state.plain()
        del plain["branches"]
        if name == "steered shift":
            del plain["rows"], plain["noise"]
        elif not name.startswith("rollouts"):
            del plain["steering"], plain["rows"], plain["noise"]
        elif not name.endswith("True"):
            del plain["steering"]
        return f"{name} {to_json(plain)}"


def _seed(seed: Any) -> int:
    if type(seed) is not int or not 0 <= seed < 2**31:
        raise UserError(f"seed {seed!r}; give a whole number from 0 to {2**31 - 1}")
    return seed


__all__ = ["SIDES", "Explorer", "Steering"]
