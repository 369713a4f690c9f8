"""The arena: a square of cells on the floor, in metres.

    cell = row * size + column,    centre = side * (column - (size - 1) / 2, (size - 1) / 2 - row)

so that row 0 is the farthest along y, as a board is drawn from above, and the middle of the arena
is the origin.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from irl_lens.arrays import NDArray

OUTSIDE = -1
"""The cell of what is not in the arena."""

Places = Float[NDArray[np.floating[Any]], "*n 2"]


@dataclass(frozen=True)
class Arena:
    """Cells on the floor.

    Attributes:
        size: Cells on a side.
        side: Length of a cell's side [m].
    """

    size: int
    side: float

    @property
    def half(self) -> float:
        """Half the arena's side [m]."""
        return self.size * self.side / 2

    @cached_property
    def centres(self) -> Float[NDArray[np.float64], "cells 2"]:
        """Where each cell's centre is [m]."""
        row, column = np.divmod(np.arange(self.size**2), self.size)
        middle = (self.size - 1) / 2
        return self.side * np.stack([column - middle, middle - row], axis=1)

    def cells(self, places: Places) -> Int[NDArray[np.int64], "*n"]:
        """Returns the cell that each place is in, ``OUTSIDE`` where it is in none."""
        column = np.floor((places[..., 0] + self.half) / self.side).astype(np.int64)
        row = np.floor((self.half - places[..., 1]) / self.side).astype(np.int64)
        inside = (np.minimum(column, row) >= 0) & (np.maximum(column, row) < self.size)
        return np.where(inside, row * self.size + column, OUTSIDE)

    def points(self, places: Places) -> Float[NDArray[np.float64], "*n 2"]:
        """Returns column and row of each place: whole numbers at the cells' centres."""
        x, y = np.asarray(places[..., 0], np.float64), np.asarray(places[..., 1], np.float64)
        return np.stack([self.half + x, self.half - y], axis=-1) / self.side - 0.5

    def where(self, points: Places) -> Float[NDArray[np.float64], "*n 2"]:
        """Returns places by column and row: undoes :meth:`points`."""
        x, y = self.side * (np.moveaxis(np.asarray(points, np.float64), -1, 0) + 0.5)
        return np.stack([x - self.half, self.half - y], axis=-1)

    def within(self, places: Places) -> Float[NDArray[np.float64], "*n 2"]:
        """Returns where in its cell each place is, from -1 to 1."""
        return 2 * np.mod((places + self.half) / self.side, 1) - 1
