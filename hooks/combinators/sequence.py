"""One intervention after another: `first` until something happens, `then` from there on.

Of each row: until a step, until a recorded gate switches, or until the stream itself says
so. Both are run everywhere and the one in force is kept, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast
from weakref import ReferenceType

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from irl_lens.hooks.codes.gate import switches
from irl_lens.hooks.combinators.arithmetic import Operators, common_hook
from irl_lens.hooks.core.address import Axes, spread
from irl_lens.hooks.core.decoding import goes_on, sequence
from irl_lens.hooks.core.intervention import Intervention
from irl_lens.hooks.core.part import Part

Predicate = Callable[[Tensor], Bool[Tensor, "rows steps"]]
CHOICES = "give a step, one a row, a gate's trace beta [rows, steps], or a predicate"


class Sequence(Operators):
    """`first` before the change, `then` from its step on, never back.

    A predicate is latched: it is asked at every step, of the stream as it arrives, and from
    the first step on at which it is true `then` acts, whatever it says later. So it must
    judge each position on its own; no gradient passes through its answer. In cached decoding
    the rows that have changed are remembered from window to window and forgotten at step 0,
    where a new sequence begins: one sequence at a time, to its end, with its rows in their order
    (beam search exchanges them, and a predicate does not see it).

    Args:
        first: acts before the change.
        then: acts from the change on.
        until: when to change: a step, or one a row, [rows], where the number of steps means
            never; a gate's trace beta, [rows, steps], at its first switch after step 0 (which
            always switches and says nothing), one row for all or one each; or a predicate from
            the stream to a truth value a row and step. A predicate that is a :class:`Part` is
            saved too.

    Raises:
        ValueError: different hook points; `until` is none of these; when run, a step beyond
            the sequence, rows that differ, or windows that do not follow one another.

    Examples:
        >>> from irl_lens.hooks import VectorController
        >>> up = VectorController(torch.tensor([1.0]), "hook")
        >>> x = torch.tensor([[0.0, 3.0, 0.0, 3.0]]).unsqueeze(-1)
        >>> Sequence(up, -up, until=2)(x).flatten().tolist()
        [1.0, 4.0, -1.0, 2.0]
        >>> Sequence(up, -up, until=torch.tensor([[1.0, 0.2, 0.1, 0.9]]))(x).flatten().tolist()
        [1.0, 4.0, 1.0, 2.0]
        >>> Sequence(up, -up, until=lambda x: x[..., 0] > 2)(x).flatten().tolist()
        [1.0, 2.0, -1.0, 2.0]
    """

    until: Tensor | Predicate

    def __init__(
        self,
        first: Intervention,
        then: Intervention,
        until: Any,
    ) -> None:
        super().__init__(common_hook((first, then)))
        self.first, self.then = first, then
        self._latch: tuple[int, Tensor, ReferenceType[Any]] | None = None
        if callable(until):
            self.until = cast(Predicate, until)
        else:
            self.register_buffer("until", _steps_or_trace(until))

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(self._late(x), self.then(x), self.first(x))

    def _late(self, x: Tensor) -> Bool[Tensor, "_ ..."]:
        """Returns where the change has happened, in a shape that broadcasts to `x`."""
        axis = Axes.of(self.hook_name).step
        if not isinstance(self.until, Tensor):
            late = self._latched(self.until(x), (x.shape[0], x.shape[axis]))
        elif self.until.ndim == 2:
            return self.window(spread(self.until, x, (0, axis)), x, axis)
        else:
            self._check(self.until, x.shape[0], x.shape[axis])
            steps = torch.arange(x.shape[axis], device=x.device) + self.offset
            late = steps >= self.until.to(x.device).unsqueeze(-1)
        return spread(late, x, (0, axis))

    def _latched(self, now: Tensor, size: tuple[int, int]) -> Bool[Tensor, "rows steps"]:
        """Returns where the predicate is true or has been, and remembers in which rows."""
        if now.dtype != torch.bool or now.shape != size:
            raise ValueError(
                f"the predicate says {now.dtype} {tuple(now.shape)}; it must say torch.bool "
                f"{size}, one a row and step"
            )
        before = torch.zeros_like(now[:, 0]) if self.offset == 0 else self._remembered(len(now))
        late = before.unsqueeze(1) | (now.cumsum(1) > 0)
        if self.windowed:
            self._latch = self.offset + size[1], late[:, -1], sequence()
        return late

    def _remembered(self, rows: int) -> Bool[Tensor, " rows"]:
        """Returns in which rows the change had happened before this window."""
        stop, before, last = self._latch or (0, torch.zeros(0, dtype=torch.bool), sequence())
        if stop == self.offset and len(before) == rows and goes_on(last):
            return before
        raise ValueError(
            f"the predicate was last asked up to step {stop}, of {len(before)} rows; this "
            f"window has {rows} rows and begins at step {self.offset}, or is of another "
            "sequence; run each sequence from step 0 to its end, window after window"
        )

    def _check(self, until: Tensor, rows: int, steps: int) -> None:
        if len(until) not in (1, rows):
            raise ValueError(f"{len(until)} steps to change at, for {rows} rows")
        low, high = int(until.min()), int(until.max())
        if low < 0 or (high > steps and not self.windowed):
            raise ValueError(
                f"to change at step {low if low < 0 else high}, in a sequence of "
                f"{steps} steps at {self.hook_name}; give 0..{steps}"
            )

    def config(self) -> dict[str, Any]:
        if not isinstance(self.until, Tensor | Part):
            raise ValueError("a predicate that is no Part cannot be saved; make it one")
        return {}


def _steps_or_trace(until: Any) -> Int[Tensor, " rows"] | Bool[Tensor, "rows steps"]:
    """Returns steps one a row, or where a trace has switched after step 0."""
    try:
        given = torch.as_tensor(until)
    except (TypeError, RuntimeError, ValueError):
        raise ValueError(f"until is a {type(until).__name__}; {CHOICES}") from None
    if given.ndim == 2:
        fired = switches(given)
        fired[:, :1] = False
        return fired.cumsum(1) > 0
    whole = not (given.is_floating_point() or given.dtype == torch.bool)
    if given.ndim > 2 or not given.numel() or not whole:
        raise ValueError(f"until is {given.dtype} {tuple(given.shape)}; {CHOICES}")
    return given.reshape(-1)
