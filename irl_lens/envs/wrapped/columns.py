"""Observations of a Gymnasium space as columns.

Discrete, MultiDiscrete and MultiBinary spaces are categorical columns, a Box is one real column a
number, and a Dict or a Tuple has the columns of its parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from jaxtyping import Shaped

from irl_lens.arrays import NDArray
from irl_lens.envs.spaces import ObservationSpec, RealColumn
from irl_lens.envs.wrapped.whole import whole
from irl_lens.errors import UserError

Path = tuple[str | int, ...]
ROUNDING = 1e-4
"""Share of itself by which a real number may be beyond a limit, as rounding leaves it."""


class Columns:
    """Reads observations of a space as columns.

    Args:
        space: The observation space.
        scales: Scale of real columns by name, or of all of a Box by its name; where none is given
            it is half the range of a bounded number, and 1 of an unbounded one.
        predicted: Names of the columns whose next value is predicted; all when not given.

    Attributes:
        spec: The columns.

    Raises:
        UserError: There is no such column, none at all, or two of a name, or a part of the space
            is of another kind.
    """

    def __init__(
        self,
        space: spaces.Space,
        scales: Mapping[str, float] | None = None,
        predicted: Sequence[str] | None = None,
    ) -> None:
        self._scales = dict(scales or {})
        parts = list(_parts(space, ()))
        self._categorical = [(path, part) for path, part in parts if not _is_real(part)]
        self._real = [(path, part) for path, part in parts if _is_real(part)]
        names, sizes = [], []
        for path, part in self._categorical:
            many = _sizes(part)
            names += _numbered(_name(path), len(many), not isinstance(part, spaces.Discrete))
            sizes += many
        reals = [column for path, part in self._real for column in self._reals(path, part)]
        every = [*names, *(column.name for column in reals)]
        if not every or len(set(every)) < len(every):
            raise UserError(
                f"observations {space} have the columns {', '.join(every) or '(none)'}; take one "
                "at least, and keys that give each a name of its own"
            )
        shown = set(every if predicted is None else predicted)
        boxes = {_name(path) for path, _ in self._real}
        if unknown := (shown | self._scales.keys()) - {*every, *boxes}:
            raise UserError(f"no column {unknown.pop()!r}; there are {', '.join(every)}")
        self.spec = ObservationSpec(
            tuple(names),
            tuple(sizes),
            tuple(i for i, name in enumerate(names) if name in shown),
            tuple(RealColumn(c.name, c.scale, c.name in shown) for c in reals),
        )

    def encode(self, observation: Any) -> Shaped[NDArray[Any], " columns"]:
        """Returns an observation as columns.

        Raises:
            UserError: It is none of the space's: a part is missing or of another shape, or a
                value is out of its range or no number.
        """
        found = [
            _indices(part, self._part(observation, path, part)) for path, part in self._categorical
        ]
        categorical = np.concatenate(found) if found else np.zeros(0, np.int64)
        reals = [np.ravel(self._part(observation, path, part)) for path, part in self._real]
        every = np.concatenate([categorical + self.spec.offsets, *reals])
        return every.astype(self.spec.dtype)

    def _part(self, observation: Any, path: Path, part: spaces.Space) -> NDArray[Any]:
        """The values of a simple part, if they are of its space."""
        try:
            for key in path:
                observation = observation[key]
            found = np.asarray(observation)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise UserError(
                f"an observation has no {_name(path)!r}, or it is no array; the environment's "
                f"observation_space has {part} there"
            ) from error
        numbers = found.dtype.kind in "biuf"
        if not numbers or found.shape != part.shape or not _within(part, found):
            raise UserError(
                f"an observation has {' '.join(str(found).split())[:60]} in {_name(path)!r}, which "
                f"is not in the environment's {part}; correct it, or observation_space"
            )
        return found

    def _reals(self, path: Path, box: spaces.Space) -> Iterator[RealColumn]:
        assert isinstance(box, spaces.Box)
        low, high = (np.asarray(x, np.float64).ravel() for x in (box.low, box.high))
        bounded = np.isfinite(low) & np.isfinite(high) & (low < high)
        halves = np.where(
            bounded, np.where(bounded, high, 1) / 2 - np.where(bounded, low, -1) / 2, 1
        )
        whole = self._scales.get(_name(path))
        for name, half in zip(_numbered(_name(path), len(low), True), halves, strict=True):
            yield RealColumn(name, float(self._scales.get(name, half if whole is None else whole)))


def _parts(space: spaces.Space, path: Path) -> Iterator[tuple[Path, spaces.Space]]:
    """The simple spaces that a space consists of, and where each is in an observation."""
    if isinstance(space, spaces.Dict):
        for key, part in space.spaces.items():
            yield from _parts(part, (*path, key))
    elif isinstance(space, spaces.Tuple):
        for index, part in enumerate(space.spaces):
            yield from _parts(part, (*path, index))
    elif isinstance(
        space, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary | spaces.Box
    ):
        yield path, space
    else:
        raise UserError(
            f"observations {_name(path)!r} of {space}; take Discrete, MultiDiscrete, MultiBinary, "
            "Box, or a Dict or Tuple of them, with an observation wrapper of Gymnasium's"
        )


def _is_real(space: spaces.Space) -> bool:
    return isinstance(space, spaces.Box)


def _name(path: Path) -> str:
    return ".".join(map(str, path)) or "observation"


def _numbered(name: str, count: int, many: bool) -> list[str]:
    return [f"{name}[{i}]" for i in range(count)] if many else [name]


def _sizes(space: spaces.Space) -> list[int]:
    if isinstance(space, spaces.Discrete):
        return [int(space.n)]
    if isinstance(space, spaces.MultiDiscrete):
        return np.ravel(space.nvec).tolist()
    assert isinstance(space, spaces.MultiBinary)
    return [2] * int(np.prod(space.shape))


def _within(space: spaces.Space, found: NDArray[Any]) -> bool:
    """Whether values are in a simple space, up to rounding; those of a Box may be of any type."""
    if not isinstance(space, spaces.Box):
        return (
            whole(found - _start(space), np.reshape(_sizes(space), space.shape or ())) is not None
        )
    slack = ROUNDING * np.maximum(np.abs(found), 1)
    within = (found >= space.low - slack) & (found <= space.high + slack)
    return bool((within & np.isfinite(found)).all())


def _indices(space: spaces.Space, found: NDArray[Any]) -> NDArray[np.int64]:
    return np.ravel(found - _start(space)).astype(np.int64)


def _start(space: spaces.Space) -> Any:
    return getattr(space, "start", 0)
