"""A pinpad board with a task, as an :class:`irl_lens.envs.scenes.WalkableSituation`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Int

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.board_situation import BoardSituation, read_plain
from irl_lens.envs.pinpad.expert import Games, play, visit_table
from irl_lens.envs.pinpad.planner import MOVES, distances, move_table, optimal_length
from irl_lens.envs.pinpad.spec import PinpadSpec
from irl_lens.envs.pinpad.taskless import Roaming
from irl_lens.envs.pinpad.vector_env import GridPinpadVectorEnv, rows_of
from irl_lens.envs.pinpad.witnessed import witnessed
from irl_lens.envs.protocol import Seed
from irl_lens.envs.scenes import Move
from irl_lens.envs.trajectories import Trajectories

DIRECTIONS = tuple(
    Move(name, int(dx), int(dy))
    for name, (dy, dx) in zip(("up", "right", "down", "left"), MOVES, strict=True)
)


@dataclass(frozen=True)
class PinpadSituation(BoardSituation):
    """One board, the agent's start and a task; see :class:`BoardSituation`."""

    moves: ClassVar[tuple[Move, ...]] = DIRECTIONS

    @property
    def solvable(self) -> bool:
        """Whether the task can be done within the horizon."""
        spec, layouts = self.world.board, self.layouts
        goals, moves = visit_table([self.world.grammar.colours(self.task)]), move_table(spec.size)
        length = optimal_length(distances(spec, layouts), layouts, goals, moves)
        return bool(length[0] <= self.world.horizon)

    @classmethod
    def of_plain(cls, world: PinpadSpec, plain: dict[str, Any]) -> PinpadSituation:
        """Undoes :meth:`plain`; raises ``ValueError`` if it is of no board of this world."""
        return cls(world, *read_plain(world, plain))

    def demonstrate(self, seed: Seed) -> Trajectories:
        """Lets the expert do the task: one trajectory."""
        world = self.world
        if not self.solvable:
            raise ValueError(
                f"the task {''.join(world.subgoal_names[s] for s in self.task)} cannot be done "
                f"here within {world.horizon} steps; move what is in the way or ask for another"
            )
        layouts, zero = self.layouts, np.zeros(1, np.int64)
        goals = visit_table([world.grammar.colours(self.task)])
        games = Games(layouts, zero, goals, distances(world.board, layouts))
        walk = play(world.board, games, world.horizon, np.random.default_rng(seed))
        index = world.grammar.train.index(self.task) if self.task in world.grammar.train else -1
        return witnessed(world, games, walk, (self.task,), zero + index)

    def watch(
        self, places: Int[NDArray[np.integer], "n steps"]
    ) -> Int[NDArray[np.int32], "n steps columns"]:
        """Returns what an agent sees that is at these places, one after the other."""
        cells = np.asarray(places, np.int64)
        last = np.concatenate([cells[:, :1], cells[:, :-1]], axis=1)
        there = move_table(self.world.board.size)[last] == cells[..., None]
        step = np.where(there.any(axis=-1), there.argmax(axis=-1) + 1, 0)
        displacements = np.where(cells == last, 0, step)
        objects = np.broadcast_to(self.cells[:-1], (*cells.shape, len(self.cells) - 1))
        return self.world.observer.encode(objects, cells, displacements)

    def retraced(
        self,
        places: Int[NDArray[np.integer], " steps"],
        actions: Int[NDArray[np.integer], " steps"],
    ) -> Trajectories:
        """Returns one trajectory along these places, with labels of -1 and visits counted."""
        cells, steps = np.asarray(places, np.int64), len(places)
        entered = np.append(False, cells[1:] != cells[:-1])
        visits = entered & np.isin(cells, self.cells[: self.world.board.colours])
        unknown = np.full((1, steps), -1)
        return Trajectories(
            observations=self.watch(cells[None]),
            actions=np.asarray(actions, np.int64)[None],
            mask=np.ones((1, steps), bool),
            subgoals=unknown,
            visits=unknown.copy(),
            progress=visits.cumsum()[None],
            tasks=np.full(1, -1),
            extras=vars(self.layouts),
        )

    def rows(self, n: int) -> GridPinpadVectorEnv:
        """Returns ``n`` rows in which this task is asked for, here."""
        env = rows_of(self.world.config, n, task=self.task, solvable=False)
        env.fix(self.layouts)
        return env

    def roaming(self, n: int, subgoals: int = 1) -> Roaming:
        """Returns ``n`` rows here without a task."""
        return Roaming(self.world, n, subgoals, self.layouts)
