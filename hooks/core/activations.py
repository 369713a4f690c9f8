"""Reading a TransformerLens cache, or any mapping from hook names to activations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from irl_lens.hooks.core.address import check_mask
from irl_lens.hooks.core.spectrum import precise

if TYPE_CHECKING:
    from transformer_lens import ActivationCache


def cached(cache: ActivationCache | Mapping[str, Tensor], hook_name: str) -> Tensor:
    """Returns what a cache holds of a hook point.

    Raises:
        ValueError: it holds nothing of it.

    Examples:
        >>> cached({}, "hook_embed")
        Traceback (most recent call last):
        ValueError: the cache has no 'hook_embed'; run the model with names_filter='hook_embed'
    """
    if hook_name not in cache:
        raise ValueError(
            f"the cache has no {hook_name!r}; run the model with names_filter={hook_name!r}"
        )
    return cache[hook_name]


def positions(
    cache: ActivationCache | Mapping[str, Tensor],
    hook_name: str,
    valid: Shaped[Tensor, "*_"] | None = None,
) -> Float[Tensor, "positions d_model"]:
    """Returns a cache's activations at the valid rows and steps, constants of at least float32.

    Args:
        cache: holds [rows, steps, d_model] of the hook point.
        hook_name: the hook point.
        valid: which rows and steps count, booleans; all if None.

    Raises:
        ValueError: a cache without the hook point, other activations, a mask of another shape
            or without steps.

    Examples:
        >>> cache = {"hook": torch.tensor([[[1.0], [2.0]], [[3.0], [9.0]]])}
        >>> valid = torch.tensor([[True, True], [True, False]])
        >>> positions(cache, "hook", valid).flatten()
        tensor([1., 2., 3.])
    """
    values = precise(cached(cache, hook_name).detach())
    valid = _everywhere(values) if valid is None else valid
    if values.ndim == 3:
        check_mask("mask", valid, values.shape[:2])
    if values.ndim != 3 or not valid.any():
        raise ValueError(
            f"activations {tuple(values.shape)} at {hook_name}, a mask of {int(valid.sum())} "
            "steps; give [rows, steps, d_model] and a mask, some of it true"
        )
    return values[valid]


def _everywhere(values: Tensor) -> Tensor:
    return torch.ones(values.shape[:2], dtype=torch.bool, device=values.device)
