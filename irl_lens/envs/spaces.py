"""What is observed and what can be done: the spaces that a model is made for.

An observation is one array of columns. The categorical ones come first, whole numbers each in a
range of its own (*sparse*: the index of the active entry of a multi-hot vector); then the real
ones, in the world's own units.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from irl_lens.arrays import NDArray
from irl_lens.errors import NotOffered


@dataclass(frozen=True)
class RealColumn:
    """A number of an observation.

    Attributes:
        name: Unlike any other column's.
        scale: A typical deviation, in the units of the column; a model reads value / scale.
        predicted: Whether a base model predicts its next value: the loss is half the squared
            error of value / scale, the NLL of a Gaussian of unit variance without its constant.

    Raises:
        ValueError: The scale is not positive and finite.
    """

    name: str
    scale: float = 1.0
    predicted: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.scale < float("inf"):
            raise ValueError(f"column {self.name!r} with scale {self.scale}; take a positive one")


@dataclass(frozen=True)
class ObservationSpec:
    """The columns of an observation.

    Attributes:
        names: One name a categorical column.
        sizes: Number of values of each categorical column.
        predicted: The categorical columns whose next value a base model predicts.
        reals: The columns of real numbers, which come after the categorical ones.
    """

    names: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    predicted: tuple[int, ...] = ()
    reals: tuple[RealColumn, ...] = ()

    @property
    def columns(self) -> int:
        """Number of columns, K."""
        return len(self.sizes) + len(self.reals)

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of all columns in order."""
        return (*self.names, *(real.name for real in self.reals))

    @property
    def dtype(self) -> type[np.int32] | type[np.float32]:
        """Type of an observation's numbers: int32, or float32 where there are real ones."""
        return np.float32 if self.reals else np.int32

    def described(self) -> str:
        """Names the columns, those of one size together: "12 of 169 values (a to l), .."."""
        parts = []
        for size, group in groupby(zip(self.sizes, self.names, strict=True), lambda c: c[0]):
            names = [name for _, name in group]
            parts.append(f"{len(names)} of {size} values ({_range(names)})")
        if self.reals:
            names = [real.name for real in self.reals]
            parts.append(f"{len(names)} of real numbers ({_range(names)})")
        return ", ".join(parts)

    @cached_property
    def size(self) -> int:
        """Length of the dense form."""
        return sum(self.sizes) + len(self.reals)

    @cached_property
    def offsets(self) -> Int[NDArray[np.int64], " categorical"]:
        """Index at which each categorical column starts in the dense form."""
        return np.cumsum([0, *self.sizes[:-1]], dtype=np.int64)[: len(self.sizes)]

    @cached_property
    def scales(self) -> Float[NDArray[np.float32], " reals"]:
        """Scale of each real column."""
        return np.array([real.scale for real in self.reals], np.float32)

    def dense(
        self, sparse: Shaped[NDArray[Any], "*batch columns"]
    ) -> Float[NDArray[np.float32], "*batch size"]:
        """Expands observations: categorical columns to multi-hot, real ones divided by scale.

        There may be more or fewer categorical entries than columns, as after an edit of them.
        """
        indices, reals = np.split(sparse, [sparse.shape[-1] - len(self.reals)], axis=-1)
        full = np.zeros((*sparse.shape[:-1], self.size), np.float32)
        np.put_along_axis(full, indices.astype(np.int64), 1.0, axis=-1)
        if self.reals:
            full[..., -len(self.reals) :] = reals / self.scales
        return full


@dataclass(frozen=True)
class DiscreteActions:
    """A finite set of actions, numbered from 0.

    Attributes:
        n: How many there are.
        names: One name an action, or none.

    Raises:
        ValueError: There is no action, or not one name for each.
    """

    n: int
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.n < 1 or len(self.names) not in (0, self.n):
            raise ValueError(f"{self.n} actions with names {self.names}; give one name an action")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one action."""
        return ()

    @property
    def labels(self) -> tuple[str, ...]:
        """What to call each action: its name, or its number."""
        return self.names or tuple(map(str, range(self.n)))

    @property
    def dtype(self) -> type[np.int64]:
        """Type of an action."""
        return np.int64

    @property
    def parameters(self) -> int:
        """Numbers that say what distribution an action was drawn from: its probabilities."""
        return self.n

    def described(self) -> str:
        """Says in words what there is to choose from."""
        return f"{self.n} actions"


@dataclass(frozen=True)
class ContinuousActions:
    """Vectors of real numbers in a box.

    Attributes:
        size: Length of an action.
        low: Least value of every entry; the environment clips what is below.
        high: Largest value of every entry.
        names: One name an entry, or none.

    Raises:
        ValueError: Nothing is in the box.
    """

    size: int
    low: float = -1.0
    high: float = 1.0
    names: tuple[str, ...] = field(default=(), repr=False, compare=False)  # no matter to weights

    def __post_init__(self) -> None:
        if self.size < 1 or not self.low < self.high:
            raise ValueError(
                f"actions of {self.size} numbers from {self.low} to {self.high}; take at least "
                "one, from low to a larger high"
            )
        if len(self.names) not in (0, self.size):
            raise ValueError(f"actions of {self.size} numbers with names {self.names}; name each")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one action."""
        return (self.size,)

    @property
    def labels(self) -> tuple[str, ...]:
        """What to call each number: its name, or its place."""
        return self.names or tuple(map(str, range(self.size)))

    @property
    def dtype(self) -> type[np.float32]:
        """Type of an action's numbers."""
        return np.float32

    @property
    def parameters(self) -> int:
        """Numbers that say what distribution an action was drawn from: means, deviations."""
        return 2 * self.size

    def described(self) -> str:
        """Says in words what there is to choose from."""
        return f"actions of {self.size} numbers from {self.low:g} to {self.high:g}"


ActionSpec = DiscreteActions | ContinuousActions
"""What an agent can do."""


def discrete(actions: ActionSpec) -> DiscreteActions:
    """Returns the actions as a finite set.

    Raises:
        NotOffered: They are continuous.
    """
    if isinstance(actions, DiscreteActions):
        return actions
    raise NotOffered(f"{actions.described()}, where one out of a finite set is asked for")


def _range(names: list[str]) -> str:
    return f"{names[0]} to {names[-1]}" if len(names) > 1 else names[0]
