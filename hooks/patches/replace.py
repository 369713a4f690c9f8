"""Activation patching: x <- value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from jaxtyping import Shaped
from torch import Tensor

from irl_lens.hooks.core.activations import cached
from irl_lens.hooks.patches.patch import Patch

if TYPE_CHECKING:
    from transformer_lens import ActivationCache


class ReplacePatch(Patch):
    """x <- value.

    Args:
        value: rows first, the whole sequence's; size 1 where all share one value.
        hook_name: hook point that is patched.
        **address: `rows`, `steps`, `heads`, `keys`, as of :class:`Patch`.

    Examples:
        >>> import torch
        >>> patch = ReplacePatch(torch.tensor([[[7.0]]]), "hook_embed", steps=[1])
        >>> patch(torch.zeros(1, 3, 1)).flatten()
        tensor([0., 7., 0.])
    """

    value: Tensor

    def __init__(self, value: Shaped[Tensor, "*_"], hook_name: str, **address: Any) -> None:
        super().__init__(hook_name, **address)
        self.hold("value", value)

    @classmethod
    def from_cache(
        cls, cache: ActivationCache | Mapping[str, Tensor], hook_name: str, **arguments: Any
    ) -> Self:
        """Returns the patch with what a cache holds of the hook point.

        Args:
            cache: a TransformerLens cache, or any mapping.
            hook_name: hook point that the values come from and go to.
            **arguments: the constructor's others.

        Raises:
            ValueError: the cache does not hold it.

        Examples:
            >>> import torch
            >>> cache = {"hook_embed": torch.ones(2, 5, 3)}
            >>> ReplacePatch.from_cache(cache, "hook_embed", rows=[0]).value.shape
            torch.Size([2, 5, 3])
        """
        return cls(cached(cache, hook_name), hook_name, **arguments)

    def replacement(self, x: Tensor) -> Tensor:
        return self.placed(self.value, x)
