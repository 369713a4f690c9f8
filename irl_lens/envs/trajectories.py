"""Trajectories: what experts did, with the labels only an experimenter sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.layouts import Layouts

_BY_STEP = ("observations", "actions", "policy", "mask", "subgoals", "visits", "progress")


@dataclass(frozen=True)
class Trajectories:
    """A batch of trajectories, padded on the right.

    Attributes:
        observations: Sparse observations, ``[n, steps, columns]``.
        actions: ``[n, steps]``.
        policy: Probabilities that the expert drew each action from, ``[n, steps, actions]``.
        mask: True on steps that happened, ``[n, steps]``.
        subgoals: Abstract subgoal pursued at each step, -1 on padding.
        visits: Finest subgoal (a single visit) pursued at each step, -1 on padding.
        progress: Visits completed before each step.
        tasks: Index of the task within the world's grammar, -1 for the held-out task.
        layouts: The world's own description of each board; opaque outside ``envs``.
    """

    observations: Int[NDArray[np.int32], "n steps columns"]
    actions: Int[NDArray[np.int64], "n steps"]
    policy: Float[NDArray[np.float32], "n steps actions"]
    mask: Bool[NDArray[np.bool_], "n steps"]
    subgoals: Int[NDArray[np.int64], "n steps"]
    visits: Int[NDArray[np.int64], "n steps"]
    progress: Int[NDArray[np.int64], "n steps"]
    tasks: Int[NDArray[np.int64], " n"]
    layouts: Any

    def __len__(self) -> int:
        return len(self.tasks)

    @property
    def lengths(self) -> Int[NDArray[np.int64], " n"]:
        """Number of steps of each trajectory."""
        return self.mask.sum(axis=1)

    def boundaries(self) -> Bool[NDArray[np.bool_], "n steps"]:
        """Marks the steps at which a new abstract subgoal begins; never the first step."""
        changes = np.zeros_like(self.mask)
        changes[:, 1:] = self.mask[:, 1:] & (self.subgoals[:, 1:] != self.subgoals[:, :-1])
        return changes

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Returns everything as named arrays, the layouts' prefixed ``layouts.``"""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "layouts"}
        return plain | {f"layouts.{name}": value for name, value in vars(self.layouts).items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Trajectories:
        """Undoes :meth:`arrays`."""
        plain = {name: value for name, value in arrays.items() if "." not in name}
        parts = {n.removeprefix("layouts."): v for n, v in arrays.items() if "." in n}
        return cls(**plain, layouts=Layouts(**parts))

    def rows(self, index: NDArray[np.intp] | slice) -> Trajectories:
        """Returns the selected rows, cut to the longest of them."""
        steps = int(self.lengths[index].max(initial=1))
        cut = {name: getattr(self, name)[index][:, :steps] for name in _BY_STEP}
        return replace(self, **cut, tasks=self.tasks[index], layouts=self.layouts.rows(index))

    def chunks(self, rows: int) -> list[Trajectories]:
        """Cuts the batch, sorted by length, into chunks of at most ``rows`` rows.

        Each is as long as its longest row, so that next to no padding is left; a loss
        summed over the chunks has exactly the gradient of the padded batch.
        """
        # The longest first: whoever computes several at a time ends sooner that way.
        order = np.argsort(-self.lengths, kind="stable")
        return [self.rows(order[i : i + rows]) for i in range(0, len(order), rows)]
