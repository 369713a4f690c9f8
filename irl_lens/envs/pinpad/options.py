"""Options of the grid pinpad environments, the same for the single and the vector one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from gymnasium import spaces

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.expert import visit_table
from irl_lens.envs.pinpad.spec import PinpadConfig, PinpadSpec
from irl_lens.envs.pinpad.tasks import Task
from irl_lens.envs.spaces import ObservationSpec


@dataclass(frozen=True)
class PinpadOptions:
    """Options of ``irl_lens/GridPinpad-v0``; the defaults are the paper's (App. A.1).

    Attributes:
        size: Cells on a side of the board.
        colours: Coloured cells, each colour once.
        walls: Wall cells.
        horizon: Steps after which an episode is truncated.
        grammar: Name of the task grammar, see :data:`irl_lens.envs.pinpad.tasks.GRAMMARS`.
        task: ``"train"`` or ``"heldout"``, one task (a tuple of abstract subgoals), or
            several (a tuple of such tuples); each reset draws one uniformly.
        prefix: Keep only this many abstract subgoals of each task.
        observation: ``"onehot"`` (the paper's) or ``"egocentric"``.
        sparse: Give the index of each active entry (int32 ``[columns]``) in place of the
            multi-hot float32 vector ``[size]``.
        solvable: Draw until the task can be done within the horizon. The paper does not
            say that it does; without it about one held-out episode in five is hopeless.
    """

    size: int = 7
    colours: int = 8
    walls: int = 4
    horizon: int = 100
    grammar: str = "paper-grid"
    task: str | Sequence[int] | Sequence[Sequence[int]] = "train"
    prefix: int | None = None
    observation: Literal["onehot", "egocentric"] = "onehot"
    sparse: bool = False
    solvable: bool = True

    def __post_init__(self) -> None:
        for name in ("sparse", "solvable"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} {getattr(self, name)!r}; take True or False")
        if not isinstance(self.task, str | Sequence):
            raise ValueError(f"task {self.task!r}; name one, or give a tuple of subgoals")

    def spec(self) -> PinpadSpec:
        """Returns the world these options describe; raises ``ValueError`` if there is none."""
        config = PinpadConfig(
            self.size, self.colours, self.walls, self.horizon, self.grammar, self.observation
        )
        return PinpadSpec(config)

    def tables(self, world: PinpadSpec) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns the colours and the abstract subgoals of every visit of every task.

        Both are ``[tasks, visits + 1]``, with -1 after a task's last visit.
        """
        tasks = [t for name in self._named() for t in world.tasks(name, self.prefix)]
        goals = visit_table([(*world.grammar.colours(t), -1) for t in tasks])
        return goals, visit_table([(*world.grammar.stages(t), -1) for t in tasks])

    def space(self, spec: ObservationSpec) -> spaces.Space:
        """Returns the observation space of one environment."""
        if self.sparse:
            offsets = spec.offsets.astype(np.int32)
            return spaces.MultiDiscrete(np.array(spec.sizes), dtype=np.int32, start=offsets)
        return spaces.Box(0.0, 1.0, (spec.size,), np.float32)

    def _named(self) -> list[str | Task]:
        """The tasks one by one; they arrive as lists where options were read from JSON."""
        if isinstance(self.task, str):
            return [self.task]
        if not any(isinstance(part, Sequence) for part in self.task):
            return [tuple(self.task)]  # type: ignore[arg-type]
        if not all(isinstance(part, Sequence) for part in self.task):
            raise ValueError(f"task {self.task!r}; give subgoals, or tuples of subgoals, not both")
        return [tuple(task) for task in self.task]  # type: ignore[arg-type]
