"""The navigator: in which direction to walk to reach a colour, on the shortest path of cells.

Paths are those of :mod:`irl_lens.envs.pinpad.planner`: walls and all colours but the goal are
blocked, and a blocked cell may be left but not entered. From the path the navigator looks ahead:
with p the place that the ant would be at shortly, it heads for the farthest of the next cells'
centres to which the straight line from p misses every blocked cell, each made wider by a margin;
if there is none, for the next cell's centre. So it cuts corners where they are free, and keeps
clear of what would end the episode.

Whether a segment from p to q meets a square is told by separating axes: with midpoint m, half
length d, the square's centre c and half its side h,

    |m - c|_x <= h + |d|_x,   |m - c|_y <= h + |d|_y,   |d x (m - c)| <= h (|d|_x + |d|_y)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.ant.arena import Arena
from irl_lens.envs.pinpad.layouts import BoardSpec, Layouts
from irl_lens.envs.pinpad.planner import distances, move_table

LEAD = 0.15
"""Time by which the ant's place is run ahead [s]: it takes about twice as long to stop."""
MARGIN = 0.25
"""By how much blocked cells are made wider on every side [m]."""
AHEAD = 5
"""Cells of the path that are looked at."""

Places = Float[NDArray[np.floating[Any]], "n 2"]
Whole = Int[NDArray[np.int64], " n"]


@dataclass(frozen=True)
class Navigator:
    """Paths on a batch of layouts.

    Attributes:
        paths: Next cells on the way to each colour from each cell.
        objects: Cells of the colours and walls.
        arena: The cells.
    """

    paths: Int[NDArray[np.int16], "n colours cells ahead"]
    objects: Int[NDArray[np.int64], "n objects"]
    arena: Arena

    @classmethod
    def of(cls, board: BoardSpec, layouts: Layouts, arena: Arena) -> Navigator:
        """Finds the paths.

        Args:
            board: Size and objects of the layouts.
            layouts: Where what is.
            arena: The cells.
        """
        following = _following(board, layouts)
        n, colours, cells = following.shape
        at = np.broadcast_to(np.arange(cells), following.shape)
        paths = np.empty((n, colours, cells, AHEAD), np.int16)
        for step in range(AHEAD):
            at = np.take_along_axis(following, at, axis=2)
            paths[..., step] = at
            if step == 0:  # the path ends on the goal; only who stands on it leaves first
                goal = layouts.objects[:, :colours, None]
                following = following.copy()
                np.put_along_axis(following, goal, goal, axis=2)
        return cls(paths, layouts.objects, arena)

    def rows(self, index: NDArray[Any] | slice) -> Navigator:
        """Returns the navigator of some of the layouts."""
        return Navigator(self.paths[index], self.objects[index], self.arena)

    def directions(
        self, places: Places, velocities: Places, goals: Whole
    ) -> Float[NDArray[np.float64], " n"]:
        """Returns where to walk [rad].

        Args:
            places: Where the ants are [m].
            velocities: How they move [m/s].
            goals: The colours that they are after.
        """
        rows, cells = np.arange(len(goals)), self._cells(places)
        path = self.paths[rows, goals, cells]
        start = places + LEAD * velocities
        ends = self.arena.centres[path]
        meets = self._meets(start, ends, self._blocking(cells, goals))
        leaving = cells == self.objects[rows, goals]
        free = ~meets & ~leaving[:, None]
        free[:, 0] = True
        farthest = AHEAD - 1 - free[:, ::-1].argmax(axis=1)
        way = ends[rows, farthest] - start
        return np.arctan2(way[:, 1], way[:, 0])

    def _cells(self, places: Places) -> Whole:
        """The cell that each place is in; of one outside, the nearest."""
        edge = self.arena.half * (1 - 1e-9)
        return self.arena.cells(np.clip(places, -edge, edge))

    def _blocking(self, cells: Whole, goals: Whole) -> Bool[NDArray[np.bool_], "n objects"]:
        """Marks the objects to keep clear of: not the goal, nor what is underfoot."""
        blocking = self.objects != cells[:, None]
        blocking[np.arange(len(cells)), goals] = False
        return blocking

    def _meets(
        self,
        start: Places,
        ends: Float[NDArray[np.float64], "n ahead 2"],
        blocking: Bool[NDArray[np.bool_], "n objects"],
    ) -> Bool[NDArray[np.bool_], "n ahead"]:
        """Marks the ends of straight lines that meet a blocked cell."""
        half = self.arena.side / 2 + MARGIN
        reach = (ends - start[:, None])[:, :, None] / 2
        away = (start[:, None, None] + reach) - self.arena.centres[self.objects][:, None]
        span_x, span_y = np.abs(reach[..., 0]), np.abs(reach[..., 1])
        cross = reach[..., 0] * away[..., 1] - reach[..., 1] * away[..., 0]
        met = np.abs(away[..., 0]) <= half + span_x
        met &= np.abs(away[..., 1]) <= half + span_y
        met &= np.abs(cross) <= half * (span_x + span_y)
        return np.any(met & blocking[:, None], axis=2)


def _following(board: BoardSpec, layouts: Layouts) -> Int[NDArray[np.int64], "n colours cells"]:
    """The next cell on a shortest path to each colour, from each cell."""
    moves, distance = move_table(board.size), distances(board, layouts)
    cells = np.arange(board.cells)
    best = np.broadcast_to(cells, distance.shape).copy()
    least = np.full(distance.shape, np.iinfo(np.int16).max)
    for there in moves.T:
        ahead = np.where(there == cells, np.iinfo(np.int16).max, distance[:, :, there])
        best = np.where(ahead < least, there, best)
        least = np.minimum(least, ahead)
    return best
