"""One session of the explorer, without any page: set, undo, compute, view.

    >>> import irl_lens
    >>> from irl_lens.analyses.explorer import Explorer
    >>> session = Explorer.open(irl_lens.load("grid"))
    >>> before = session.state
    >>> session.patch(layer=2, step=before.step)
    >>> session.state.spots[0].layer, session.undo().state == before
    (2, True)

A method that refuses what it is given raises ``UserError`` or ``ValueError`` and leaves the
state as it was.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any, Self

from irl_lens.analyses.explorer import edits, forks, patching
from irl_lens.analyses.explorer.actions import no_action
from irl_lens.analyses.explorer.computed import Computed
from irl_lens.analyses.explorer.episodes import begin
from irl_lens.analyses.explorer.opening import opening
from irl_lens.analyses.explorer.rollouts import Tick
from irl_lens.analyses.explorer.settings import check_branches, checked
from irl_lens.analyses.explorer.state import LONGEST_STACK, MOST_SEED, Spot, State, Steering
from irl_lens.analyses.explorer.workbench import Workbench
from irl_lens.errors import UserError
from irl_lens.runs.run import Run

HISTORY = 50
"""States that undo goes back to."""


class Explorer(Computed):
    """A state, its history, and what is computed from it.

    Args:
        workbench: The run, shared with other sessions.
        state: Where to begin; the opening pair if not given.

    Raises:
        UserError: The state is of no such run.
    """

    def __init__(self, workbench: Workbench, state: State | None = None) -> None:
        super().__init__()
        self._run = workbench.final
        begun = self._run.first(opening) if state is None else state
        at = self._run.at(begun.checkpoint)
        self._states: list[State] = [checked(at, begun)]
        check_branches(at, begun)

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
        if base is not None:
            _check_base(workbench.at(begun.checkpoint if begun else None), base)
        return cls(workbench, begun)

    def restore(self, state: dict[str, Any], base: str, run: str = "") -> Self:
        """Takes a state from elsewhere; that of before is what undo goes back to.

        Args:
            state: As :meth:`State.plain` gives it.
            base: Hash of the base model that it was made with.
            run: Name of the run that had it.

        Raises:
            UserError: The run has another base, or the state is of no such run.
        """
        found = State.of_plain(state)
        workbench = self._run.at(found.checkpoint)
        _check_base(workbench, base, run)
        check_branches(workbench, found)
        return self._become(found)

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

    def draw(self, seed: int | None) -> Self:
        """Goes to another episode, nothing edited."""
        return self._become(self._kept(begin(self.workbench, _seed(seed))))

    def ask(self, task: str) -> Self:
        """Asks for another task, by names of subgoals such as ``"A C"`` or ``"AC"``."""
        return self._become(edits.asked(self.workbench, self.state, task))

    def put(self, name: str, place: float, side: str = "edited") -> Self:
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
        seed: int | None = None,
    ) -> Self:
        """Grows a branch.

        Args:
            step: Where it leaves; the step looked at if None.
            parent: The branch it leaves; the walk if None.
            tick: Told of every step.
            seed: Of its actions, and of what is rolled out from now on; the state's if None.

        Raises:
            UserError: There is no such step, parent or seed, there are too many branches, or
                boards, walk or branches were changed while it grew.
        """
        state, workbench = self.state, self.workbench
        own = state if seed is None else replace(state, rollout_seed=seed)
        state = checked(workbench, own)
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

    def _become(self, state: State) -> Self:
        with self.lock:
            state = checked(self._run.at(state.checkpoint), state)
            if state != self.state:
                self._states = [*self._states[-HISTORY:], state]
        return self

    def _kept(self, state: State) -> State:
        """Another episode, with the choices that are not about the episode."""
        now = self.state
        names = (
            "component",
            "layer",
            "metric",
            "why",
            "rather",
            "rows",
            "rollout_seed",
            "checkpoint",
        )
        return replace(state, **{name: getattr(now, name) for name in names})


def _check_base(workbench: Workbench, base: str, run: str = "") -> None:
    if base != workbench.hash:
        named = f" of the run {run!r}" if run else ""
        raise UserError(
            f"the state was made with the base model {base}{named}, {workbench.run.folder} has "
            f"{workbench.hash}; open the run it was made with"
        )


def _seed(seed: Any) -> int:
    if type(seed) is not int or not 0 <= seed <= MOST_SEED:
        raise UserError(f"seed {seed!r}; give a whole number from 0 to {MOST_SEED}")
    return seed
