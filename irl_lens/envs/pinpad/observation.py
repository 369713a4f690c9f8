"""Observations of a pinpad board: which numbers the agent sees.

An observation is multi-hot: a row of categorical columns, each one-hot. Its *sparse* form
gives the active index of every column, already offset into the full vector; the dense form
is that vector. Nothing in it tells the task or the progress.

``onehot``: the paper's 637 numbers (App. A.1), cell of each object and of the agent.
``egocentric``: offset of each object from the agent, the agent's cell, and the last
displacement (a velocity, as the paper's ant observation has; its layout is relative too).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.layouts import BoardSpec
from irl_lens.envs.pinpad.planner import MOVES
from irl_lens.envs.spaces import ObservationSpec

KINDS = ("onehot", "egocentric")


class Observer:
    """Encodes board, agent and last displacement as sparse observations."""

    def __init__(self, kind: str, board: BoardSpec) -> None:
        if kind not in KINDS:
            raise ValueError(f"no observation {kind!r}; there are: {', '.join(KINDS)}")
        self.kind = kind
        self.board = board
        if kind == "onehot":
            sizes, names = [board.cells] * (board.objects + 1), [*board.names, "agent"]
        else:
            sizes = [(2 * board.size - 1) ** 2] * board.objects + [board.cells, len(MOVES) + 1]
            names = [*board.names, "agent", "displacement"]
        self.spec = ObservationSpec(tuple(names), tuple(sizes), (board.objects,))

    def encode(
        self,
        objects: Int[NDArray[np.int64], "*batch objects"],
        cell: Int[NDArray[np.int64], "*batch"],
        displacement: Int[NDArray[np.int64], "*batch"],
    ) -> Int[NDArray[np.int32], "*batch columns"]:
        """Returns the sparse observation.

        Args:
            objects: Cell of each object; broadcast against ``cell``.
            cell: The agent's cell.
            displacement: Last move that changed the cell, 0 for none, else action + 1.
        """
        lead = cell.shape
        columns = np.empty((*lead, self.spec.columns), np.int64)
        if self.kind == "onehot":
            columns[..., :-1] = objects
            columns[..., -1] = cell
        else:
            columns[..., :-2] = self._offsets(objects, cell)
            columns[..., -2] = cell
            columns[..., -1] = displacement
        return (columns + self.spec.offsets).astype(np.int32)

    def _offsets(
        self, objects: Int[NDArray[np.int64], "*batch objects"], cell: Int[NDArray[np.int64], "*b"]
    ) -> Int[NDArray[np.int64], "*batch objects"]:
        size, span = self.board.size, 2 * self.board.size - 1
        # (row difference) * span + (column difference) is linear in a cell's own code.
        code = np.arange(self.board.cells) // size * span + np.arange(self.board.cells) % size
        return code[objects] - code[cell][..., None] + (size - 1) * (span + 1)
