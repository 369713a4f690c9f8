"""What the environments of a pinpad ask of its episodes, whatever body plays them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.drawing import BoardDraw
from irl_lens.envs.pinpad.layouts import BoardSpec

Flags = Bool[NDArray[np.bool_], " n"]


@runtime_checkable
class EpisodeRows(Protocol):
    """A fixed number of episodes, reset and stepped together; a row that is over stays put."""

    boards: BoardDraw

    @property
    def board(self) -> BoardSpec:
        """Size and objects of the boards."""
        ...

    @property
    def done(self) -> Flags:
        """Marks the rows whose episode is over."""
        ...

    @property
    def ends(self) -> tuple[Flags, Flags]:
        """Marks the rows that are terminated, and those that are truncated."""
        ...

    def reset(
        self, rows: Int[NDArray[np.intp], " k"], generators: Sequence[np.random.Generator]
    ) -> None:
        """Begins new episodes in ``rows``, each drawn from its own generator."""
        ...

    def step(self, actions: Any) -> Float[NDArray[np.float64], " n"]:
        """Plays one step in every row that is not over; returns the rewards."""
        ...

    def observe(self) -> NDArray[Any]:
        """Returns fresh observations, ``[n, ..]``."""
        ...

    def info(self) -> dict[str, NDArray[Any]]:
        """Returns the labels that only an experimenter sees, ``[n]`` each."""
        ...

    def check_begun(self) -> None:
        """Raises ``ResetNeeded`` if a row was never reset."""
        ...

    def snapshot(self) -> Any:
        """Returns a copy of the episodes."""
        ...

    def checked(self, snapshot: object) -> Any:
        """Returns a copy of a snapshot; raises ``ValueError`` if it is none of such episodes."""
        ...

    def restore(self, snapshot: Any) -> None:
        """Goes back to a snapshot that was checked."""
        ...
