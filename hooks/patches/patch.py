"""What patches share: x <- replacement(x) where addressed, x elsewhere."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import torch
from jaxtyping import Bool, Shaped
from torch import Tensor

from irl_lens.hooks.combinators.arithmetic import Operators
from irl_lens.hooks.core.address import SCORES, Address, Axes, Indices
from irl_lens.hooks.core.attention_scores import hidden
from irl_lens.hooks.core.spectrum import like


class Patch(Operators):
    """Replaces what is addressed.

    A value has every axis of what the hook point carries, size 1 along those that share one; or
    the last alone, [width]; or none, a single number. Two axes of three are refused: [rows,
    width] and [steps, width] cannot be told apart. At ``hook_attn_scores`` what attention hides
    stays hidden; at ``hook_pattern`` a value for a step after the query's lets the query see
    the future.

    Args:
        hook_name: hook point that is patched.
        rows: rows of the batch, all if None.
        steps: steps of the sequence, of the query in attention patterns; all if None.
        heads: heads, all if None; only at hook points that have an axis of heads.
        keys: attended steps, all if None; only in attention patterns and scores.

    Raises:
        ValueError: a negative index; when run, an address outside the hooked tensor.

    Examples:
        >>> class Round(Patch):
        ...     def replacement(self, x):
        ...         return x.round()
        >>> Round("hook_embed", steps=[1])(torch.full((1, 2, 1), 0.7)).flatten()
        tensor([0.7000, 1.0000])
    """

    def __init__(
        self,
        hook_name: str,
        rows: Indices | None = None,
        steps: Indices | None = None,
        heads: Indices | None = None,
        keys: Indices | None = None,
    ) -> None:
        super().__init__(hook_name)
        self.address = Address.at(rows, steps, heads, keys)

    @abstractmethod
    def replacement(self, x: Tensor) -> Tensor:
        """Returns the new value of every position, of which the addressed are used.

        Examples:
            >>> from irl_lens.hooks import AblatePatch
            >>> AblatePatch("hook_embed", steps=[0]).replacement(torch.ones(1, 2, 1)).flatten()
            tensor([0., 0.])
        """

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(self.mask(x), like(self.replacement(x), x), x)

    def mask(self, x: Tensor) -> Bool[Tensor, "_ ..."]:
        """Returns what of `x` is addressed, in a shape that broadcasts to it.

        Examples:
            >>> from irl_lens.hooks import AblatePatch
            >>> AblatePatch("hook_embed", steps=[0]).mask(torch.ones(1, 2, 1)).flatten()
            tensor([ True, False])
        """
        mask = self.address.mask(x, self.hook_name, self.offset, self.windowed)
        return mask & ~hidden(x) if self.hook_name.endswith(SCORES) else mask

    def placed(self, values: Shaped[Tensor, "*_"], x: Tensor) -> Tensor:
        """Returns stored values as those of `x`: its steps, its shape.

        Raises:
            ValueError: the values cannot stand for those of `x`.

        Examples:
            >>> from irl_lens.hooks import AblatePatch
            >>> patch = AblatePatch("hook_embed")
            >>> patch.placed(torch.tensor([5.0]), torch.zeros(1, 3, 1)).flatten()
            tensor([5., 5., 5.])
        """
        self.check_dtype(values, x)
        step, given = Axes.of(self.hook_name).step, values.shape
        if values.ndim == x.ndim:
            values = self.seen(values, x)
            if values.shape[step] != 1:
                values = self.window(values, x, step)
        if values.ndim in (0, 1, x.ndim):
            with suppress(RuntimeError):  # sizes that differ
                return values.expand_as(x).to(x)
        raise ValueError(
            f"the value is {tuple(given)}, {self.hook_name} carries {tuple(x.shape)}; give that "
            "shape, with 1 where all share one value, or the last axis alone"
        )

    def check_dtype(self, values: Tensor, x: Tensor) -> None:
        """Raises ValueError if the values would lose fractions or imaginary parts in `x`.

        Examples:
            >>> from irl_lens.hooks import AblatePatch
            >>> AblatePatch("hook_tokens").check_dtype(torch.tensor(0.5), torch.tensor([[3]]))
            Traceback (most recent call last):
            ValueError: the value is torch.float32, hook_tokens carries torch.int64; give ...
        """
        if not torch.can_cast(values.dtype, x.dtype):
            raise ValueError(
                f"the value is {values.dtype}, {self.hook_name} carries {x.dtype}; give values "
                "of its kind"
            )

    def seen(self, values: Shaped[Tensor, "_ ..."], x: Tensor) -> Tensor:
        """Returns values of an attention pattern cut to the attended steps there are so far.

        Anywhere else, and in whole sequences, the values as they are.

        Examples:
            >>> from irl_lens.hooks import AblatePatch, starting_at
            >>> patch = AblatePatch("blocks.0.attn.hook_pattern")
            >>> with starting_at(2):
            ...     patch.seen(torch.zeros(1, 1, 6, 6), torch.zeros(1, 1, 1, 3)).shape[-1]
            3
        """
        key = Axes.of(self.hook_name).key
        if key is None or not self.windowed or values.shape[key] <= x.shape[key]:
            return values
        return values.narrow(key, 0, x.shape[key])

    def config(self) -> dict[str, Any]:
        return {**super().config(), **asdict(self.address)}
