"""Trajectories: what experts did, with the labels only an experimenter sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from irl_lens.arrays import NDArray
from irl_lens.errors import NotOffered

BY_STEP = ("observations", "actions", "mask", "policy", "subgoals", "visits", "progress")
"""The arrays with an entry a step."""
LABELS = ("policy", "subgoals", "visits", "progress", "tasks")
"""What not every world knows."""


@dataclass(frozen=True)
class Trajectories:
    """A batch of trajectories, padded on the right.

    What a world does not know is None.

    Attributes:
        observations: ``[n, steps, columns]``, int32, or float32 where some columns are real.
        actions: ``[n, steps]`` of int64 if discrete, ``[n, steps, size]`` of float32 if not.
        mask: True on steps that happened, ``[n, steps]``.
        policy: What the expert drew each action from: probabilities, ``[n, steps, actions]``,
            or means and then deviations, ``[n, steps, 2 * size]``.
        subgoals: Abstract subgoal pursued at each step, -1 on padding.
        visits: Finest subgoal (a single visit) pursued at each step, -1 on padding.
        progress: Visits completed before each step.
        tasks: Index of the task among the training tasks, -1 for another one, ``[n]``.
        extras: Arrays of the world's own by name, one row a trajectory; opaque outside it.
        tolerance: Steps by which a boundary between subgoals may be off, where labels are no
            more exact than that: a switch so near counts as on it.
    """

    observations: Shaped[NDArray[Any], "n steps columns"]
    actions: Shaped[NDArray[Any], "n steps *size"]
    mask: Bool[NDArray[np.bool_], "n steps"]
    policy: Float[NDArray[np.float32], "n steps parameters"] | None = None
    subgoals: Int[NDArray[np.int64], "n steps"] | None = None
    visits: Int[NDArray[np.int64], "n steps"] | None = None
    progress: Int[NDArray[np.int64], "n steps"] | None = None
    tasks: Int[NDArray[np.int64], " n"] | None = None
    extras: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    tolerance: int = 0

    def __len__(self) -> int:
        return len(self.mask)

    def require(self, name: str) -> NDArray[Any]:
        """Returns a label: one of :data:`LABELS`.

        Raises:
            NotOffered: The world does not give it.
        """
        found = getattr(self, name)
        if found is None:
            raise NotOffered(
                f"these demonstrations have no {name}; take a world that labels {name}, or an "
                "analysis and settings that do without"
            )
        return found

    @property
    def lengths(self) -> Int[NDArray[np.int64], " n"]:
        """Number of steps of each trajectory."""
        return self.mask.sum(axis=1)

    def boundaries(self) -> Bool[NDArray[np.bool_], "n steps"]:
        """Marks the steps at which a new abstract subgoal begins; never the first step."""
        changes = np.zeros_like(self.mask)
        subgoals = self.require("subgoals")
        changes[:, 1:] = self.mask[:, 1:] & (subgoals[:, 1:] != subgoals[:, :-1])
        return changes

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Returns everything there is as named arrays, the world's own prefixed ``extras.``"""
        named = (*BY_STEP, "tasks")
        known = {name: x for name in named if (x := getattr(self, name)) is not None}
        known |= {"tolerance": np.array(self.tolerance)} if self.tolerance else {}
        return known | {f"extras.{name}": array for name, array in self.extras.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Trajectories:
        """Undoes :meth:`arrays`."""
        plain = {name: value for name, value in arrays.items() if "." not in name}
        extras = {n.removeprefix("extras."): v for n, v in arrays.items() if "." in n}
        tolerance = int(np.asarray(plain.pop("tolerance", 0)).item())
        return cls(**plain, extras=extras, tolerance=tolerance)

    def rows(self, index: NDArray[np.intp] | slice) -> Trajectories:
        """Returns the selected rows, cut to the longest of them."""
        steps = int(self.lengths[index].max(initial=1))
        known = {name: getattr(self, name) for name in (*BY_STEP, "tasks")}
        cut = {name: array[index] for name, array in known.items() if array is not None}
        cut |= {name: cut[name][:, :steps] for name in cut.keys() & set(BY_STEP)}
        return replace(
            self, **cut, extras={name: array[index] for name, array in self.extras.items()}
        )

    def chunks(self, rows: int, own: slice = slice(None)) -> list[Trajectories]:
        """Cuts the batch, sorted by length, into chunks of at most ``rows`` rows.

        Each is as long as its longest row, so that next to no padding is left; a loss
        summed over the chunks has exactly the gradient of the padded batch.

        Args:
            rows: Most rows of a chunk.
            own: Which of the sorted rows are wanted.
        """
        # The longest first: whoever computes several at a time ends sooner that way.
        order = np.argsort(-self.lengths, kind="stable")[own]
        return [self.rows(order[i : i + rows]) for i in range(0, len(order), rows)]
