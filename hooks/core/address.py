"""Which rows, steps, heads and attended steps of a hooked tensor an intervention touches.

TransformerLens has three layouts, told apart by the hook point's name and the number of axes:

    [rows, steps, width]                   residual stream, MLP, layer norms
    [rows, steps, heads, width]            hook_q, hook_k, hook_v, hook_z, hook_result, ...
    [rows, heads, steps, attended steps]   hook_pattern, hook_attn_scores

In the last, a step is that of the query and an attended step that of the key. In cached
decoding all hold the new steps alone, but for keys that were rotated, hook_rot_k, and attended
steps: those begin at the start of the sequence. Hook points with another layout, such as a
mixture of experts' inside, where rows and steps are one axis, are refused; so are those of a
bridge that have another than their name says (:mod:`irl_lens.hooks.core.bridges`).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Shaped
from torch import Tensor

SCORES = "hook_attn_scores"
PATTERNS = (SCORES, "hook_pattern")
ROTATED_KEYS = "hook_rot_k"
OTHERWISE = re.compile(
    r"\.experts\.|\.[qk]_norm\.|^(decoder_)?pos_embed\.hook_in$"
    r"|\.hook_(expert_indices|router_scores|cos|sin|q_normed|k_normed)$"
)
"""Names of hook points not laid out by row and step that the number of axes does not tell."""
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
Indices = Iterable[Any]
"""Integers of Python, NumPy or torch; see :func:`indices`."""


@dataclass(frozen=True)
class Axes:
    """Where a hooked tensor keeps steps, heads and attended steps; rows are always first.

    Attributes:
        step: axis of steps; of the queries' steps in attention patterns.
        head: axis of heads, in tensors of four axes.
        key: axis of attended steps; None but in attention patterns.
        past: whether steps begin at the start of the sequence in cached decoding too.

    Examples:
        >>> Axes.of("blocks.0.hook_resid_post").step, Axes.of("blocks.0.attn.hook_pattern").step
        (1, 2)
    """

    step: int = 1
    head: int = 2
    key: int | None = None
    past: bool = False

    @classmethod
    def of(cls, hook_name: str) -> Axes:
        """Returns the axes of a hook point's tensor.

        Examples:
            >>> Axes.of("blocks.0.attn.hook_attn_scores")
            Axes(step=2, head=1, key=3, past=False)
        """
        last = hook_name.rsplit(".", 1)[-1]
        return cls(2, 1, 3) if last in PATTERNS else cls(past=last == ROTATED_KEYS)


def spread(
    values: Shaped[Tensor, "_ ..."], x: Shaped[Tensor, "*_"], axes: tuple[int, ...]
) -> Shaped[Tensor, "_ ..."]:
    """Returns values whose first axes stand where `x` has them, size 1 along the others of `x`.

    Args:
        values: first the axes that are placed, then any of its own, which stay last.
        x: tensor that the values are to broadcast to.
        axes: axis of `x` that each of the first axes belongs to.

    Examples:
        >>> pattern = torch.zeros(2, 7, 5, 5)
        >>> spread(torch.zeros(2, 5), pattern, (0, 2)).shape
        torch.Size([2, 1, 5, 1])
        >>> by_head, codes = torch.zeros(2, 5, 7), torch.zeros(2, 5, 8)
        >>> spread(codes, by_head, (0, 1)).shape
        torch.Size([2, 5, 1, 8])
    """
    shape = [1] * x.ndim
    for axis, size in zip(axes, values.shape, strict=False):
        shape[axis] = size
    return values.reshape(*shape, *values.shape[len(axes) :])


@dataclass(frozen=True)
class Address:
    """Rows, steps, heads and attended steps, each a tuple of indices, None for all.

    Examples:
        >>> Address.at(rows=[0], steps=range(2, 4))
        Address(rows=(0,), steps=(2, 3), heads=None, keys=None)
    """

    rows: tuple[int, ...] | None = None
    steps: tuple[int, ...] | None = None
    heads: tuple[int, ...] | None = None
    keys: tuple[int, ...] | None = None

    @classmethod
    def at(
        cls,
        rows: Indices | None = None,
        steps: Indices | None = None,
        heads: Indices | None = None,
        keys: Indices | None = None,
    ) -> Address:
        """Returns the address of any iterables of indices.

        Raises:
            ValueError: what is no index, such as a mask; a negative index, as steps have no
                last one while a sequence goes on.

        Examples:
            >>> Address.at(steps=[-1])
            Traceback (most recent call last):
            ValueError: step -1 is before the first, 0; count from the start
        """
        given = {"row": rows, "step": steps, "head": heads, "attended step": keys}
        return cls(*(None if i is None else indices(what, i) for what, i in given.items()))

    def mask(
        self, x: Tensor, hook_name: str, offset: int = 0, windowed: bool = False
    ) -> Bool[Tensor, "_ ..."]:
        """Returns what of `x` is addressed, in a shape that broadcasts to it.

        Args:
            x: the hooked tensor.
            hook_name: its hook point.
            offset: step of the sequence that `x` starts at.
            windowed: whether the sequence goes on after `x`.

        Raises:
            ValueError: an index outside `x`, or one along an axis it does not have.

        Examples:
            >>> Address.at(steps=[2]).mask(torch.zeros(1, 4, 8), "hook_embed").flatten().tolist()
            [False, False, True, False]
        """
        axes = Axes.of(hook_name)
        mask = torch.ones((1,) * x.ndim, dtype=torch.bool, device=x.device)
        for what, axis, first, wanted in (
            ("row", 0, 0, self.rows),
            ("step", axes.step, offset, self.steps),
            ("head", axes.head if x.ndim == 4 else None, 0, self.heads),
            ("attended step", axes.key, 0, self.keys),
        ):
            if wanted is None:
                continue
            if axis is None:
                raise ValueError(f"{what}s {wanted} at {hook_name}, which has no axis of {what}s")
            here = range(first, first + x.shape[axis])
            if windowed and "step" in what:  # the others come later, or came before
                wanted = [index for index in wanted if index in here]
            mask = mask & _along(x, axis, here, wanted, what, hook_name)
        return mask


def indices(what: str, given: Any) -> tuple[int, ...]:
    """Returns whole numbers, 0 and up, as integers: every index that is given passes here.

    Args:
        what: name of what they count, for the error.
        given: integers of Python, NumPy or torch. Booleans are refused, as a mask and the
            indices 0 and 1 cannot be told apart, and so are floats.

    Raises:
        ValueError: something else, or a negative number.

    Examples:
        >>> indices("row", torch.tensor([2, 0]))
        (2, 0)
        >>> indices("row", [True, False])
        Traceback (most recent call last):
        ValueError: row True is a bool, no index; give those of a mask, mask.nonzero().flatten()
    """
    listed = given.tolist() if hasattr(given, "tolist") else given  # type: ignore[attr-defined]
    if isinstance(listed, str | bytes) or not isinstance(listed, Iterable):
        raise ValueError(f"{what} {given!r} is no list of indices; give one, such as [0]")
    found = tuple(_index(what, index) for index in listed)
    if found and min(found) < 0:
        raise ValueError(f"{what} {min(found)} is before the first, 0; count from the start")
    return found


def _index(what: str, given: Any) -> int:
    value = given.tolist() if hasattr(given, "tolist") else given
    if isinstance(value, bool):
        raise ValueError(
            f"{what} {value} is a bool, no index; give those of a mask, mask.nonzero().flatten()"
        )
    try:
        return operator.index(value)
    except TypeError:
        raise ValueError(
            f"{what} {value!r} is a {type(value).__name__}, no index; give integers"
        ) from None


def check_mask(what: str, mask: Tensor, size: tuple[int, ...]) -> None:
    """Raises ValueError unless a mask over rows and steps is one, and of this size.

    Examples:
        >>> check_mask("mask", torch.tensor([[1, 0]]), (1, 2))
        Traceback (most recent call last):
        ValueError: the mask is torch.int64 (1, 2); it must be torch.bool (1, 2), rows and steps
    """
    if mask.dtype != torch.bool or mask.shape != size:
        raise ValueError(
            f"the {what} is {mask.dtype} {tuple(mask.shape)}; it must be torch.bool "
            f"{tuple(size)}, rows and steps"
        )


def check_layout(x: Tensor, hook_name: str) -> None:
    """Raises ValueError unless `x`, met at a hook point, has rows first and then steps.

    Tokens, which are integers, have no width; the numbers of experts do.

    Examples:
        >>> check_layout(torch.zeros(10, 8), "blocks.0.mlp.gate.hook_out")
        Traceback (most recent call last):
        ValueError: blocks.0.mlp.gate.hook_out carries (10, 8), not [rows, steps, ..]; act ...
    """
    tokens = not x.is_floating_point() and ".gate." not in hook_name
    if OTHERWISE.search(hook_name) or x.ndim < (2 if tokens else 3):
        raise ValueError(
            f"{hook_name} carries {tuple(x.shape)}, not [rows, steps, ..]; act where the block "
            "has them apart, such as at hook_mlp_out"
        )


def check_width(x: Tensor, width: int, what: str, hook_name: str) -> None:
    """Raises ValueError unless `x` has a width, which integers such as tokens have not, and this.

    Args:
        x: the hooked tensor.
        width: width that it must have.
        what: name of what acts on it, for the error.
        hook_name: its hook point.

    Examples:
        >>> check_width(torch.tensor([[3, 5]]), 2, "controller", "hook_tokens")
        Traceback (most recent call last):
        ValueError: hook_tokens carries torch.int64 without a width; act at hook_embed
    """
    if not x.is_floating_point():
        raise ValueError(f"{hook_name} carries {x.dtype} without a width; act at hook_embed")
    if x.shape[-1] != width:
        raise ValueError(
            f"the {what} is {width} wide, the stream at {hook_name} is {x.shape[-1]} wide; use "
            f"a {what} made for this model and hook point"
        )


def _along(
    x: Tensor, axis: int, here: range, wanted: Iterable[int], what: str, hook_name: str
) -> Bool[Tensor, "_ ..."]:
    """Returns a mask along one axis of `x`, which carries `here`; size 1 along the others."""
    for index in wanted:
        if index not in here:
            raise ValueError(
                f"{what} {index} at {hook_name}, which has {len(here)} {what}s here; the "
                f"last is {here[-1] if here else None}"
            )
    chosen = set(wanted)
    selected = torch.tensor([i in chosen for i in here], dtype=torch.bool, device=x.device)
    return selected.reshape([-1 if i == axis else 1 for i in range(x.ndim)])
