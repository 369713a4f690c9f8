"""Options of the ant's environments, the same for the single and the vector one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from irl_lens.arrays import NDArray
from irl_lens.envs.ant.spec import AntConfig, AntSpec
from irl_lens.envs.pinpad.options import PinpadOptions
from irl_lens.envs.pinpad.spec import PinpadConfig


@dataclass(frozen=True)
class AntOptions(AntConfig):
    """Options of ``irl_lens/AntPinpad-v0``: the world's, and what is asked for in it.

    Attributes:
        task: ``"train"`` or ``"heldout"``, one task (a tuple of abstract subgoals), or
            several (a tuple of such tuples); each reset draws one uniformly.
        prefix: Keep only this many abstract subgoals of each task.
        solvable: Draw until there is a path for the task. Without it about one training episode
            in nine, and one held-out episode in seven, is hopeless.
    """

    task: str | Sequence[int] | Sequence[Sequence[int]] = "train"
    prefix: int | None = None
    solvable: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._on_board()

    @property
    def config(self) -> AntConfig:
        """The world."""
        return AntConfig(**{f.name: getattr(self, f.name) for f in fields(AntConfig)})

    def spec(self) -> AntSpec:
        """Returns the world these options describe; raises ``ValueError`` if there is none."""
        return AntSpec(self.config)

    def tables(self, world: AntSpec) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns colours and abstract subgoals, see :meth:`PinpadOptions.tables`."""
        return self._on_board().tables(world)

    def _on_board(self) -> PinpadOptions:
        board = {f.name: getattr(self.board, f.name) for f in fields(PinpadConfig)}
        return PinpadOptions(
            **board, task=self.task, prefix=self.prefix, solvable=self.solvable, sparse=True
        )
