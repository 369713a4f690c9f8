"""An arena with a task and an ant at its start, as an :class:`irl_lens.envs.scenes.Situation`.

How the ant stands at the start is kept relative to its cell: an edit that moves it takes its stance
along, so that what differs between two situations is what was edited alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.ant.demonstrations import demonstrate
from irl_lens.envs.ant.gait import gait_named
from irl_lens.envs.ant.physics import POSITIONS, VELOCITIES
from irl_lens.envs.ant.retracing import retraced
from irl_lens.envs.ant.spec import AntSpec
from irl_lens.envs.ant.stance import Body, Stance, body_at, standing_at
from irl_lens.envs.ant.taskless import Roaming
from irl_lens.envs.ant.vector_env import AntPinpadVectorEnv, rows_of
from irl_lens.envs.pinpad.board_situation import BoardSituation, read_plain
from irl_lens.envs.pinpad.expert import visit_table
from irl_lens.envs.pinpad.layouts import Layouts
from irl_lens.envs.pinpad.planner import UNREACHABLE, distances, move_table, optimal_length
from irl_lens.envs.protocol import Seed
from irl_lens.envs.scenes import Point
from irl_lens.envs.trajectories import Trajectories


@dataclass(frozen=True)
class AntSituation(BoardSituation):
    """One arena, the ant's start and a task; see :class:`BoardSituation`.

    Attributes:
        stance: How the ant stands at the start, see :mod:`irl_lens.envs.ant.stance`.

    Raises:
        ValueError: It is no stance within the cell.
    """

    world: AntSpec
    stance: Stance

    def __post_init__(self) -> None:
        super().__post_init__()
        wanted, half = POSITIONS + VELOCITIES, self.world.arena.side / 2
        if len(self.stance) != wanted or not np.isfinite(self.stance).all():
            raise ValueError(f"a stance of {len(self.stance)} numbers; give {wanted} finite ones")
        if max(map(abs, self.stance[:2])) > half:
            raise ValueError(
                f"an ant {self.stance[:2]} m from the middle of its cell; take {half:g} at most"
            )

    @property
    def start(self) -> Point:
        """Where exactly the ant starts."""
        column, row = self.world.arena.points(self.body[0][None, :2])[0].tolist()
        return column, row

    @property
    def body(self) -> Body:
        """Positions and velocities at the start."""
        return body_at(self.world.arena, self.cells[-1], self.stance)

    @property
    def solvable(self) -> bool:
        """Whether there is a path for the task; how long the ant takes depends on its gait."""
        board, layouts = self.world.board, self.layouts
        goals, moves = visit_table([self.world.grammar.colours(self.task)]), move_table(board.size)
        length = optimal_length(distances(board, layouts), layouts, goals, moves)
        return bool(length[0] < UNREACHABLE)

    def plain(self) -> dict[str, Any]:
        """Returns places by name, the task by the names of its subgoals, and the stance."""
        return super().plain() | {"stance": list(self.stance)}

    @classmethod
    def of_plain(cls, world: AntSpec, plain: dict[str, Any]) -> AntSituation:
        """Undoes :meth:`plain`; raises ``ValueError`` if it is of no arena of this world."""
        stance = plain.get("stance")
        if not isinstance(stance, list) or not all(isinstance(x, int | float) for x in stance):
            raise ValueError(f"stance {stance!r}; give a list of numbers")
        cells, task = read_plain(world, plain)
        return cls(world, cells, task, tuple(map(float, stance)))

    def demonstrate(self, seed: Seed) -> Trajectories:
        """Lets the expert do the task, again where it fails: one trajectory, never astray.

        A walk here is its torques: who takes them again must get to the same places.
        """
        world = self.world
        if not self.solvable:
            task = "".join(world.subgoal_names[subgoal] for subgoal in self.task)
            raise ValueError(
                f"there is no path for the task {task} here; move what is in the way or ask for "
                "another"
            )
        begun = self.layouts, self.body
        gait = gait_named(world.settings.gait)
        shown = demonstrate(world, gait, 1, seed, self.task, begun=begun)
        train = world.grammar.train
        index = train.index(self.task) if self.task in train else -1
        return replace(shown, tasks=np.array([index]))

    def retraced(
        self,
        places: Int[NDArray[np.integer], " steps"],
        actions: Float[NDArray[np.floating[Any]], "steps 8"],
    ) -> Trajectories:
        """Takes actions from the start: one trajectory, to the bit that of any rows here.

        Args:
            places: Not looked at: they follow from the actions.
            actions: The torques.
        """
        return retraced(self.world, self.layouts, self.body, actions)

    def rows(self, n: int) -> AntPinpadVectorEnv:
        """Returns ``n`` ants of which this task is asked, here."""
        env = rows_of(self.world.settings, n, task=self.task, solvable=False)
        env.begin_at(self.layouts, self.body)
        return env

    def roaming(self, n: int, subgoals: int = 1) -> Roaming:
        """Returns ``n`` ants here without a task."""
        return Roaming(self.world, n, subgoals, (self.layouts, self.body))

    def placed(
        self, points: Float[NDArray[np.floating[Any]], "n 2"], turns: Float[NDArray[Any], " n"]
    ) -> Roaming:
        """Returns ants here without a task, standing at rest, one a point.

        Args:
            points: Column and row of each, in places where nothing lies.
            turns: Which way each is turned about the vertical [rad].
        """
        n, arena = len(points), self.world.arena
        objects = np.repeat(self.layouts.objects, n, axis=0)
        places = arena.where(points)
        begun = Layouts(objects, arena.cells(places)), standing_at(places, turns)
        return Roaming(self.world, n, 1, begun)
