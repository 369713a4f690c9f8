"""Worlds that are another one in all but one thing, and the first such thing: the task."""

from __future__ import annotations

from typing import Protocol

from irl_lens.envs.pinpad.tasks import Grammar, Task
from irl_lens.envs.protocol import Seed, VectorWorld, World
from irl_lens.envs.spaces import ActionSpec, ObservationSpec
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import UserError


class Tasked(World, Protocol):
    """A world that can be asked for any task of its grammar."""

    grammar: Grammar

    def demonstrate(
        self, n: int, seed: Seed, epsilon: float = 0.0, task: str | Task = "train"
    ) -> Trajectories:
        """Shows the expert at a task; see :meth:`irl_lens.envs.protocol.World.demonstrate`."""
        ...

    def vector_env(
        self,
        n: int,
        task: str | Task = "heldout",
        prefix: int | None = None,
        solvable: bool = True,
    ) -> VectorWorld:
        """Returns rows of a task; see :meth:`irl_lens.envs.protocol.World.vector_env`."""
        ...


class Altered:
    """A :class:`irl_lens.envs.protocol.World` that is another one but for what is overridden.

    It offers nothing beyond the necessary: what it alters, filters and situations do not know.

    Args:
        world: The other one.
    """

    def __init__(self, world: Tasked) -> None:
        self.world = world

    @property
    def observation(self) -> ObservationSpec:
        """The columns of an observation."""
        return self.world.observation

    @property
    def actions(self) -> ActionSpec:
        """The primitive actions."""
        return self.world.actions

    @property
    def horizon(self) -> int:
        """Most steps of an episode."""
        return self.world.horizon

    @property
    def subgoal_names(self) -> tuple[str, ...]:
        """Names of the abstract subgoals."""
        return self.world.subgoal_names

    @property
    def visit_names(self) -> tuple[str, ...]:
        """Names of the finest subgoals."""
        return self.world.visit_names

    @property
    def heldout_subgoals(self) -> Task:
        """Abstract subgoals of the task that is asked for, in order."""
        return self.world.heldout_subgoals

    def demonstrate(self, n: int, seed: Seed, epsilon: float = 0.0) -> Trajectories:
        """Shows ``n`` successes of the expert; see :class:`irl_lens.envs.protocol.World`."""
        return self.world.demonstrate(n, seed, epsilon)

    def vector_env(
        self, n: int, *, prefix: int | None = None, solvable: bool = True
    ) -> VectorWorld:
        """Returns ``n`` rows to act on; see :class:`irl_lens.envs.protocol.World`."""
        return self.world.vector_env(n, prefix=prefix, solvable=solvable)


class OtherTask(Altered):
    """Another task is asked for than the held-out one, and demonstrated.

    Args:
        world: The world.
        text: Its abstract subgoals by name, in order, joined by dashes: ``"B-C-D-A"``.

    Raises:
        UserError: There is no such subgoal, or no episode is long enough for all of them.
    """

    def __init__(self, world: Tasked, text: str) -> None:
        super().__init__(world)
        self.task = read_task(text, world.grammar, world.horizon)

    @property
    def heldout_subgoals(self) -> Task:
        """Abstract subgoals of the task, in order."""
        return self.task

    def demonstrate(self, n: int, seed: Seed, epsilon: float = 0.0) -> Trajectories:
        """Shows ``n`` successes of the expert at the task."""
        return self.world.demonstrate(n, seed, epsilon, task=self.task)

    def vector_env(
        self, n: int, *, prefix: int | None = None, solvable: bool = True
    ) -> VectorWorld:
        """Returns ``n`` rows of the task."""
        return self.world.vector_env(n, self.task, prefix, solvable)


def read_task(text: str, grammar: Grammar, horizon: int) -> Task:
    """Reads a task: abstract subgoals by name, joined by dashes.

    Args:
        text: Such as ``"B-C-D-A"``.
        grammar: What subgoals there are.
        horizon: Steps of an episode, of which each visit takes at least one.

    Raises:
        UserError: A name is none of them, or there are more visits than steps.
    """
    names = grammar.subgoal_names
    words = text.split("-")
    for word in words:
        if word not in names:
            raise UserError(
                f"task {text[:60]!r}: no subgoal {word[:20]!r}; join some of {', '.join(names)} by "
                f"dashes, such as {'-'.join(names)}"
            )
    task = tuple(names.index(word) for word in words)
    if (visits := len(grammar.colours(task))) > horizon:
        raise UserError(
            f"task {text[:60]!r} has {visits} visits, and an episode at most {horizon} steps; take "
            "fewer subgoals"
        )
    return task


def usual_tasks(grammar: Grammar) -> tuple[str, ...]:
    """Returns tasks to ask for when no other is named, as :func:`read_task` reads them.

    The held-out task without its first subgoal, and one as long as it, all of whose transitions
    were trained: from the first subgoal on, each time to the one that came least often.
    """
    tasks: list[Task] = [grammar.heldout[1:]] if len(grammar.heldout) > 1 else []
    if grammar.transitions:
        tasks.append(_walk_of_training(grammar))
    return tuple("-".join(grammar.subgoal_names[s] for s in task) for task in tasks)


def _walk_of_training(grammar: Grammar) -> Task:
    task = [min(a for a, _ in grammar.transitions)]
    while len(task) < len(grammar.heldout):
        after = sorted(b for a, b in grammar.transitions if a == task[-1])
        if not after:
            break
        task.append(min(after, key=task.count))
    return tuple(task)
