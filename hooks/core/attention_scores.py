"""Interventions on attention: the same on every model, and whatever the model ran before.

    x <- f(x - c) + c   where attention sees,   x <- x   where it does not

At ``hook_attn_scores`` what attention hides is minus infinity, or the least number of the dtype
on a TransformerBridge: an intervention finds 0 there, and what it says there is dropped, so that
nothing it does shows the future. c is by how much TransformerLens puts a head's ALiBi scores too
low: it slices the last rows of the longest table that it ever made, which no softmax notices,
and 0 would mean another score after a longer input.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from irl_lens.hooks.core.address import PATTERNS, SCORES, check_layout
from irl_lens.hooks.core.bridges import check_bridge, running
from irl_lens.hooks.core.decoding import start


def hidden(scores: Tensor) -> Bool[Tensor, "*_"]:
    """Returns where a mask keeps attention out: minus infinity, or about the least number.

    About, as CodeGen divides it by the root of the width of its heads.

    Examples:
        >>> hidden(torch.tensor([-torch.inf, torch.finfo(torch.float32).min, -1e9]))
        tensor([ True,  True, False])
    """
    return scores <= -(torch.finfo(scores.dtype).max ** 0.9)


def carried(intervention: nn.Module, x: Tensor, hook_name: str) -> Tensor:
    """Returns what a hook point of a running model carries on, with an intervention there.

    Args:
        intervention: a function of what the hook point carries.
        x: tensor that it carries; the caller's caller is the hook point.
        hook_name: its name.

    Raises:
        ValueError: rows and steps are not the first axes; the model does not let the value be
            changed, or does not carry the keys of the whole sequence; values of ALiBi scores
            that another length may have been cached at.

    Examples:
        >>> from irl_lens.hooks import AblatePatch
        >>> scores = torch.tensor([[[[2.0, -torch.inf], [3.0, 4.0]]]])
        >>> name = "blocks.0.attn.hook_attn_scores"
        >>> carried(AblatePatch(name), scores, name)
        tensor([[[[0., -inf],
                  [0., 0.]]]])
    """
    check_layout(x, hook_name)
    check_bridge(x, hook_name)
    if hook_name.endswith(PATTERNS):
        _check_from_the_first(x, hook_name)
    if not hook_name.endswith(SCORES):
        return intervention(x)
    low = _lowered(running("hook_attn_scores"), x, intervention, hook_name)
    return _visible(intervention, x, low)


def _check_from_the_first(x: Tensor, hook_name: str) -> None:
    """Refuses attended steps that a cache has dropped the first of, as of sliding windows."""
    stop = (start() or 0) + x.shape[-2]
    if x.shape[-1] < stop and start() and "cross_attn" not in hook_name:
        raise ValueError(
            f"{hook_name} carries {x.shape[-1]} attended steps of the {stop} so far: the cache of "
            "this layer keeps a sliding window alone, in which no attended step stays where it is; "
            "act at attn.hook_z, or run whole sequences"
        )


def _visible(change: Callable[[Tensor], Tensor], x: Tensor, low: Tensor | None) -> Tensor:
    """Returns the change of what attention sees, `low` taken off before and put back after."""
    seen = (x if low is None else x - low).masked_fill(hidden(x), 0)
    y = change(seen)
    # Bit for bit where nothing changes.
    kept = hidden(x) if low is None else hidden(x) | (y == seen)
    return torch.where(kept, x, y if low is None else y + low)


def _lowered(
    frame: FrameType | None, x: Tensor, intervention: nn.Module, hook_name: str
) -> Tensor | None:
    """Returns by how much each head's scores are below those of a first input, if they are."""
    table = getattr(frame.f_locals["self"], "alibi", None) if frame is not None else None
    keys = x.shape[-1]
    if not isinstance(table, Tensor) or table.shape[-1] <= keys:
        return None
    tensors = [*intervention.parameters(), *intervention.buffers()]
    if any(t.ndim == 4 and t.shape[-1] > 1 for t in tensors):
        raise ValueError(
            f"{hook_name} has {keys} attended steps, and counts its ALiBi from the last of "
            f"{table.shape[-1]}, the longest input so far: values held for each of them may have "
            "been cached with another; set attn.alibi to None in every block, take the values "
            "again, and run this without a longer input in between"
        )
    return table[:, -1, keys - 1].to(x)[:, None, None]
