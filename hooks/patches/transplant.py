"""Transplants: what one episode had at some step, put at another step of another episode.

    x[i, t] <- source[r, s]   for each pair of positions (i, t) <- (r, s)

The interchange interventions of causal abstraction, for episodes whose events do not fall on
the same steps: what was there when the other episode picked its subgoal, put where this one does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from irl_lens.hooks.core.activations import cached
from irl_lens.hooks.core.address import INTEGERS, Axes, Indices, indices
from irl_lens.hooks.patches.patch import Patch

if TYPE_CHECKING:
    from transformer_lens import ActivationCache


class TransplantPatch(Patch):
    """x[row, step] <- source[source row, source step], position by position.

    In attention patterns a step is the query's; attended steps stay what they are.

    Args:
        source: activations of other episodes at the hook point, rows first.
        hook_name: hook point that is patched.
        positions: ``{(row, step): (source row, source step)}``, or an integer tensor of these
            four numbers a line, [positions, 4].
        heads: heads, all if None; only at hook points that have an axis of heads.
        keys: attended steps, all if None; only in attention patterns and scores.

    Raises:
        ValueError: a source position that the source does not have, a position written twice; when
            run, a position outside the hooked tensor, or one of another shape.

    Examples:
        >>> source = torch.tensor([[[1.0], [2.0], [3.0]]])
        >>> patch = TransplantPatch(source, "hook_embed", {(1, 0): (0, 2)})
        >>> patch(torch.zeros(2, 2, 1))[..., 0]
        tensor([[0., 0.],
                [3., 0.]])
    """

    source: Tensor
    positions: Tensor

    def __init__(
        self,
        source: Shaped[Tensor, "_ ..."],
        hook_name: str,
        positions: Mapping[Any, Any] | Shaped[Tensor, "*_"],
        heads: Indices | None = None,
        keys: Indices | None = None,
    ) -> None:
        super().__init__(hook_name, heads=heads, keys=keys)
        if isinstance(positions, Mapping):
            pairs = [indices("position", (*here, *there)) for here, there in positions.items()]
            positions = torch.tensor(pairs, dtype=torch.long).reshape(-1, 4)
        _check(positions, source.shape[0], source.shape[Axes.of(hook_name).step])
        self.hold("source", source)
        self.register_buffer("positions", positions)

    @classmethod
    def from_cache(
        cls,
        cache: ActivationCache | Mapping[str, Tensor],
        hook_name: str,
        positions: Mapping[Any, Any] | Shaped[Tensor, "*_"],
        **address: Any,
    ) -> Self:
        """Returns the patch with what a cache of the other episodes holds of the hook point.

        Raises:
            ValueError: the cache does not hold it.

        Examples:
            >>> cache = {"hook_embed": torch.ones(2, 5, 3)}
            >>> TransplantPatch.from_cache(cache, "hook_embed", {(0, 1): (1, 4)}).positions
            tensor([[0, 1, 1, 4]])
        """
        return cls(cached(cache, hook_name), hook_name, positions, **address)

    def replacement(self, x: Tensor) -> Tensor:
        self.check_dtype(self.source, x)
        step = Axes.of(self.hook_name).step
        moved, source = x.movedim(step, 1), self.seen(self.source, x).to(x).movedim(step, 1)
        if moved.shape[2:] != source.shape[2:]:
            raise ValueError(
                f"a position of the source carries {tuple(source.shape[2:])}, one of "
                f"{self.hook_name} {tuple(moved.shape[2:])}; take the source from this hook point"
            )
        row, here, source_row, there = self._within(moved).unbind(1)
        return moved.index_put((row, here), source[source_row, there]).movedim(1, step)

    def _within(self, moved: Tensor) -> Int[Tensor, "positions 4"]:
        """Returns the positions inside the hooked tensor, steps counted from its first."""
        positions = self.positions.to(moved.device, torch.long, copy=True)
        positions[:, 1] -= self.offset
        rows, steps = moved.shape[:2]
        if self.windowed:
            positions = positions[(positions[:, 1] >= 0) & (positions[:, 1] < steps)]
        row, step = positions[:, 0], positions[:, 1]
        for number, size, what in ((row, rows, "row"), (step, steps, "step")):
            if len(number) and int(number.max()) >= size:
                raise ValueError(
                    f"{what} {int(number.max())} at {self.hook_name}, which has {size} {what}s "
                    f"here; the last is {size - 1}"
                )
        return positions

    def config(self) -> dict[str, Any]:
        config = super().config()
        return {name: config[name] for name in ("hook_name", "heads", "keys")}


def _check(positions: Tensor, rows: int, steps: int) -> None:
    """Raises ValueError unless these are positions, each written once, of this source."""
    if positions.ndim != 2 or positions.shape[1] != 4 or positions.dtype not in INTEGERS:
        raise ValueError(
            f"positions are {tuple(positions.shape)} {positions.dtype}; give integers "
            "[positions, 4]: row, step, source row, source step"
        )
    for number, size, what in ((positions[:, 2], rows, "row"), (positions[:, 3], steps, "step")):
        if len(number) and not 0 <= int(number.max()) < size:
            raise ValueError(
                f"source {what} {int(number.max())}, of a source of {size} {what}s; the last "
                f"is {size - 1}"
            )
    if positions.numel() and int(positions.min()) < 0:
        first = int(positions.min())
        raise ValueError(f"position {first} is before the first, 0; count from the start")
    if len(positions[:, :2].unique(dim=0)) < len(positions):
        raise ValueError("a position is written twice; give each row and step one source")
