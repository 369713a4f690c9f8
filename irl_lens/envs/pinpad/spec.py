"""What a pinpad world is made of: its configuration, board, task grammar and observation.

Environments, episodes, situations and boards without a task stand on this; the world itself
(:mod:`irl_lens.envs.pinpad.world`) adds the expert, the exact filter and rows to act on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from irl_lens.envs.pinpad.layouts import BoardSpec
from irl_lens.envs.pinpad.limits import check_whole
from irl_lens.envs.pinpad.observation import Observer
from irl_lens.envs.pinpad.planner import ACTIONS
from irl_lens.envs.pinpad.tasks import Grammar, Task, grammar
from irl_lens.envs.protocol import MAX_HORIZON
from irl_lens.envs.scenes import AGENT
from irl_lens.envs.spaces import DiscreteActions, ObservationSpec


@dataclass(frozen=True)
class PinpadConfig:
    """A pinpad world and the grammar of its tasks (arXiv 2512.20605, App. A.1).

    Attributes:
        size: Cells on a side of the board.
        colours: Coloured cells, each colour once.
        walls: Cells that nobody can enter.
        horizon: Steps after which an episode is truncated.
        grammar: Name of the task grammar, see :data:`irl_lens.envs.pinpad.tasks.GRAMMARS`.
        observation: Objects by their place on the board (``onehot``), or as seen from the agent
            (``egocentric``).
    """

    size: int = 7
    colours: int = 8
    walls: int = 4
    horizon: int = 100
    grammar: str = "paper-grid"
    observation: Literal["onehot", "egocentric"] = "egocentric"


class PinpadSpec:
    """Board, grammar and observation of a configuration.

    Args:
        config: Size, objects, horizon, grammar and observation.

    Raises:
        ValueError: The grammar names a colour the board does not have, or the board
            cannot hold its objects.
    """

    def __init__(self, config: PinpadConfig) -> None:
        check_whole("horizon", config.horizon, 1, MAX_HORIZON)
        self.config = config
        self.grammar: Grammar = grammar(config.grammar)
        self.board = BoardSpec(config.size, config.colours, config.walls)
        if self.grammar.n_colours > config.colours:
            raise ValueError(
                f"grammar {config.grammar!r} names colour {self.grammar.n_colours - 1}, but the "
                f"world has {config.colours} colours, numbered from 0; add colours or take "
                "another grammar"
            )
        self.observer = Observer(config.observation, self.board)

    @property
    def observation(self) -> ObservationSpec:
        """What a base model reads."""
        return self.observer.spec

    @property
    def actions(self) -> DiscreteActions:
        """The primitive actions."""
        return ACTIONS

    @property
    def horizon(self) -> int:
        """Most steps of an episode."""
        return self.config.horizon

    @property
    def subgoal_names(self) -> tuple[str, ...]:
        """Names of the abstract subgoals."""
        return self.grammar.subgoal_names

    @property
    def visit_names(self) -> tuple[str, ...]:
        """Names of the finest subgoals."""
        return tuple(str(colour) for colour in range(self.config.colours))

    @property
    def heldout_subgoals(self) -> Task:
        """Abstract subgoals of the held-out task, in order."""
        return self.grammar.heldout

    def tasks(self, task: str | Task, prefix: int | None = None) -> tuple[Task, ...]:
        """Returns the tasks meant by ``"train"``, ``"heldout"`` or one task.

        Args:
            task: Which tasks.
            prefix: Keep this many abstract subgoals of each.

        Raises:
            ValueError: Unknown name, or a prefix that no task has.
        """
        if isinstance(task, str) and task not in ("train", "heldout"):
            raise ValueError(f"no task {task!r}; name 'train', 'heldout' or a tuple of subgoals")
        named = {"train": self.grammar.train, "heldout": (self.grammar.heldout,)}
        chosen = named[task] if isinstance(task, str) else (task,)
        if prefix is not None:
            check_whole(f"prefix of task {task!r}", prefix, 1, min(map(len, chosen)))
        return tuple(t[:prefix] for t in chosen)

    @property
    def training_tasks(self) -> tuple[Task, ...]:
        """Training tasks, each its abstract subgoals in order."""
        return self.grammar.train

    @property
    def transitions(self) -> frozenset[tuple[int, int]]:
        """Pairs of abstract subgoals that follow each other in training tasks."""
        return self.grammar.transitions

    @property
    def object_names(self) -> tuple[str, ...]:
        """Names of the colours and walls."""
        return self.board.names


def plain_values(spec: PinpadSpec, cells: tuple[int, ...], task: Task) -> dict[str, Any]:
    """Returns one board and a task as JSON-able values: places and subgoals by name.

    Args:
        spec: The world it is of.
        cells: Cell of each colour, of each wall, then of the agent.
        task: Abstract subgoals, in order.
    """
    names = (*spec.object_names, AGENT)
    return {
        "places": dict(zip(names, cells, strict=True)),
        "task": [spec.subgoal_names[subgoal] for subgoal in task],
    }
