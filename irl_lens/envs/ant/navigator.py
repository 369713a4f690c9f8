"""The navigator: in which direction to walk to reach a colour; a continuous function of the place.

Lengths are in sides of a cell. To a straight line from p to q belongs a cost: its length, and what
it costs to come near blocked cells (the walls and all colours but the goal) with centres b,

    cost(p, q) = sqrt(|p - q|^2 + EPSILON^2) - EPSILON
                 + STEEP sum_b max(0, CLEARANCE - distance(b, line))^2

The worth of a cell is the least cost of going from centre to centre to the goal; cells blocked are
never gone through. With p the place that the ant would be at shortly, it walks along

    sum_j w_j (c_j - p) / sqrt(|c_j - p|^2 + EPSILON^2),
    w_j proportional to exp(-(cost(p, c_j) + worth_j) / TEMPERATURE)

over the centres c_j: minus the gradient of a soft minimum, but for the cost of nearness. So it goes
straight where the way is free, cuts corners that are free and rounds the others, and its direction
changes abruptly where the goal does, and nowhere else: a jump would be an event in the
demonstrations that has nothing to do with the task. (Between two ways that cost the same it turns
from one to the other on a short way, and in the midst there is no direction: nothing stays there.)

The blocked cell that the ant is in (a colour just visited) is left without further cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.ant.arena import Arena
from irl_lens.envs.pinpad.layouts import BoardSpec, Layouts

LEAD = 0.15
"""Time by which the ant's place is run ahead [s]: it takes about twice as long to stop."""
CLEARANCE = 1.05
"""Distance from a blocked cell's centre from which on nearness costs [sides]: in the middle of a
free cell beside it, at 1, nothing does."""
STEEP = 40.0
"""Cost of nearness: through the corner of a blocked cell, at 0.71, 2 sides."""
EPSILON = 0.33
"""Distance below which a centre no longer counts as a direction [sides]."""
TEMPERATURE = 0.1
"""Softness of the choice among centres [sides]."""
FAR = 1e3
"""Worth of a cell from which there is no way."""

Places = Float[NDArray[np.floating[Any]], "n 2"]
Whole = Int[NDArray[np.int64], " n"]


@dataclass(frozen=True)
class Navigator:
    """Ways on a batch of layouts.

    Attributes:
        worth: Cost of going on to each colour from each cell's centre.
        objects: Cells of the colours and walls.
        arena: The cells.
    """

    worth: Float[NDArray[np.float64], "n colours cells"]
    objects: Int[NDArray[np.int64], "n objects"]
    arena: Arena

    @classmethod
    def of(cls, board: BoardSpec, layouts: Layouts, arena: Arena) -> Navigator:
        """Finds the ways.

        Args:
            board: Size and objects of the layouts.
            layouts: Where what is.
            arena: The cells.
        """
        return cls(_worth(board, layouts), layouts.objects, arena)

    def rows(self, index: NDArray[Any] | slice) -> Navigator:
        """Returns the navigator of some of the layouts."""
        return Navigator(self.worth[index], self.objects[index], self.arena)

    def directions(
        self, places: Places, velocities: Places, goals: Whole
    ) -> Float[NDArray[np.float64], " n"]:
        """Returns where to walk [rad].

        Args:
            places: Where the ants are [m].
            velocities: How they move [m/s].
            goals: The colours that they are after.
        """
        return self._ways(places, velocities, goals[:, None])[:, 0]

    def ways(self, places: Places, velocities: Places) -> Float[NDArray[np.float64], "n colours"]:
        """Returns where to walk to each of the colours [rad].

        Args:
            places: Where the ants are [m].
            velocities: How they move [m/s].
        """
        colours = np.arange(self.worth.shape[1])
        return self._ways(places, velocities, np.broadcast_to(colours, self.worth.shape[:2]))

    def _ways(
        self, places: Places, velocities: Places, goals: Int[NDArray[np.int64], "n k"]
    ) -> Float[NDArray[np.float64], "n k"]:
        """Returns where to walk to some of the colours."""
        rows, cells = np.arange(len(goals)), self._cells(places)
        side, centres = self.arena.side, self.arena.centres / self.arena.side
        start = (places + LEAD * velocities) / side
        way = centres - start[:, None]
        length = np.sqrt((way**2).sum(axis=2) + EPSILON**2)
        near = nearness(start[:, None, None], centres[:, None], centres[self.objects][:, None])
        near *= (self.objects != cells[:, None])[:, None]
        # The goal itself does not block.
        free = np.take_along_axis(near, goals[:, None], axis=2).swapaxes(1, 2)
        cost = (length + near.sum(axis=2))[:, None] - free + self.worth[rows[:, None], goals]
        row, leaving = np.nonzero(cells[:, None] == np.take_along_axis(self.objects, goals, axis=1))
        cost[row, leaving, cells[row]] = 2 * FAR
        weights = np.exp((cost.min(axis=2, keepdims=True) - cost) / TEMPERATURE)
        x, y = np.moveaxis((weights / length[:, None]) @ way, 2, 0)
        return np.arctan2(y, x)

    def _cells(self, places: Places) -> Whole:
        """The cell that each place is in; of one outside, the nearest."""
        edge = self.arena.half * (1 - 1e-9)
        return self.arena.cells(np.clip(places, -edge, edge))


def nearness(
    start: Float[NDArray[np.floating[Any]], "*#n 2"],
    end: Float[NDArray[np.floating[Any]], "*#n 2"],
    blocked: Float[NDArray[np.floating[Any]], "*#n 2"],
) -> Float[NDArray[np.float64], "*n"]:
    """Returns what it costs straight lines to come near a blocked cell.

    Args:
        start: Where each begins [sides].
        end: Where it ends.
        blocked: The cell's centre.
    """
    way, there = end - start, blocked - start
    x, y = way[..., 0], way[..., 1]
    square = x * x + y * y
    along = (there[..., 0] * x + there[..., 1] * y) / np.maximum(square, 1e-12)
    along = np.clip(along, 0, 1)
    distance = np.hypot(there[..., 0] - along * x, there[..., 1] - along * y)
    return STEEP * np.maximum(CLEARANCE - distance, 0) ** 2


@cache
def _between(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cost of each line between centres, and of its nearness to each cell: ``[from, to, cell]``."""
    centres = Arena(size, 1.0).centres
    one, other = centres[:, None], centres[None]
    length = np.sqrt(((one - other) ** 2).sum(axis=2) + EPSILON**2) - EPSILON
    return length, nearness(one[:, :, None], other[:, :, None], centres)


def _worth(board: BoardSpec, layouts: Layouts) -> Float[NDArray[np.float64], "n colours cells"]:
    """Least cost of going from centre to centre to each colour."""
    length, near = _between(board.size)
    objects = layouts.objects
    by_object = np.moveaxis(near[:, :, objects], 2, 0)
    lines = length + by_object.sum(axis=-1)
    goals = objects[:, : board.colours]
    blocked = np.zeros((len(layouts), board.cells), bool)
    np.put_along_axis(blocked, objects, True, axis=1)
    worth = np.full((len(layouts), board.colours, board.cells), FAR)
    np.put_along_axis(worth, goals[:, :, None], 0, axis=2)
    for colour in range(board.colours):
        open_to = lines - by_object[..., colour]
        closed = blocked.copy()
        closed[np.arange(len(closed)), goals[:, colour]] = False
        here = worth[:, colour]
        for _ in range(board.cells):
            ahead = np.minimum(here, np.where(closed, FAR, (open_to + here[:, None]).min(axis=2)))
            if (ahead == here).all():
                break
            here = ahead
        worth[:, colour] = np.where(closed, FAR, here)
    return worth
