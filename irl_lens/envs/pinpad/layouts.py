"""Boards: where colours, walls and the agent's start lie, sampled in batches.

Every object has a cell of its own, uniform without overlap (paper, App. A.1). A cell is
``row * size + column``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.limits import MAX_COLOURS, MAX_SIZE, check_whole
from irl_lens.envs.trajectories import Trajectories


@dataclass(frozen=True)
class BoardSpec:
    """Size of a board and the number of objects on it."""

    size: int = 7
    colours: int = 8
    walls: int = 4

    def __post_init__(self) -> None:
        check_whole("size", self.size, 2, MAX_SIZE)
        check_whole("colours", self.colours, 1, MAX_COLOURS)
        check_whole("walls", self.walls, 0, MAX_SIZE**2)
        if self.objects + 1 > self.cells:
            raise ValueError(
                f"{self.colours} colours, {self.walls} walls and the agent need "
                f"{self.objects + 1} cells, but a {self.size} x {self.size} board has "
                f"{self.cells}; take fewer objects or a larger size"
            )

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.size * self.size

    @property
    def objects(self) -> int:
        """Number of coloured cells and walls."""
        return self.colours + self.walls

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the colours, then of the walls."""
        colours = (f"colour{i}" for i in range(self.colours))
        return (*colours, *(f"wall{i}" for i in range(self.walls)))


@dataclass(frozen=True)
class Layouts:
    """A batch of boards.

    Attributes:
        objects: Cell of each colour, then of each wall, ``[n, colours + walls]``.
        start: Cell the agent starts on, ``[n]``.
    """

    objects: Int[NDArray[np.int64], "n objects"]
    start: Int[NDArray[np.int64], " n"]

    @classmethod
    def of(cls, trajectories: Trajectories) -> Layouts:
        """Returns the boards that trajectories took place on."""
        return cls(**trajectories.extras)

    def __len__(self) -> int:
        return len(self.start)

    def rows(self, index: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Layouts:
        """Returns the boards that ``index`` selects."""
        return Layouts(self.objects[index], self.start[index])


def check_layouts(spec: BoardSpec, layouts: Layouts) -> None:
    """Refuses boards whose objects and start are no cells of their own.

    Raises:
        ValueError: A cell is not on the board, or holds two things.
    """
    cells = np.column_stack([layouts.objects, layouts.start])
    if cells.shape[1] != spec.objects + 1:
        raise ValueError(
            f"a board of {cells.shape[1] - 1} objects; this world's have {spec.objects}"
        )
    ordered = np.sort(cells, axis=1)
    off = (ordered[:, 0] < 0) | (ordered[:, -1] >= spec.cells)
    wrong = np.flatnonzero(off | (np.diff(ordered, axis=1) == 0).any(axis=1))
    if len(wrong):
        raise ValueError(
            f"board {wrong[0]} has things on the cells {cells[wrong[0]].tolist()}, the agent's "
            f"start last; each needs a cell of its own, from 0 to {spec.cells - 1}"
        )


def concatenate(batches: list[Layouts]) -> Layouts:
    """Joins batches of boards in order."""
    return Layouts(
        np.concatenate([b.objects for b in batches]), np.concatenate([b.start for b in batches])
    )


def sample_layouts(spec: BoardSpec, n: int, rng: np.random.Generator) -> Layouts:
    """Draws ``n`` boards, objects and start uniform without overlap."""
    order = rng.random((n, spec.cells)).argpartition(spec.objects, axis=1)[:, : spec.objects + 1]
    # argpartition leaves the first cells in no uniform order among themselves.
    cells = rng.permuted(order, axis=1)
    return Layouts(cells[:, :-1], cells[:, -1].copy())


def wall_mask(spec: BoardSpec, layouts: Layouts) -> Bool[NDArray[np.bool_], "n cells"]:
    """Marks the cells that are walls."""
    mask = np.zeros((len(layouts), spec.cells), bool)
    np.put_along_axis(mask, layouts.objects[:, spec.colours :], True, axis=1)
    return mask


def colour_map(spec: BoardSpec, layouts: Layouts) -> Int[NDArray[np.int8], "n cells"]:
    """Gives each cell its colour, -1 where there is none."""
    colours = np.full((len(layouts), spec.cells), -1, np.int8)
    np.put_along_axis(
        colours, layouts.objects[:, : spec.colours], np.arange(spec.colours, dtype=np.int8), axis=1
    )
    return colours
