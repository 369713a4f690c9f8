"""The mean of an activation over a data set, batch by batch.

Standard for mean ablation: the mean of the n activations that count, over all batches, rows
and steps.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from irl_lens.hooks.core.address import Axes, check_layout, check_mask


class ActivationMean:
    """Accumulates the mean of one hook point's activations, in float64.

    Args:
        hook_name: the hook point.

    Attributes:
        count: positions so far.

    Examples:
        >>> mean = ActivationMean("hook_embed")
        >>> for batch in ([[[0.0], [3.0]]], [[[6.0]]]):
        ...     mean.add(torch.tensor(batch))
        >>> mean.count, mean.value
        (3, tensor([[[3.]]]))

        It ablates:

        >>> from irl_lens.hooks import AblatePatch
        >>> AblatePatch("hook_embed", "mean", mean.value)(torch.zeros(1, 2, 1)).flatten()
        tensor([3., 3.])
    """

    def __init__(self, hook_name: str) -> None:
        self.hook_name = hook_name
        self.count = 0
        self._total: Tensor | None = None

    def add(self, x: Shaped[Tensor, "_ ..."], mask: Shaped[Tensor, "*_"] | None = None) -> None:
        """Takes a batch in.

        Args:
            x: activations, rows first; ``cache[hook_name]`` of a TransformerLens cache.
            mask: positions that count, booleans, [rows, steps]; all if None. Padding must not.

        Raises:
            ValueError: the mask is none of these rows and steps, or the activations are not
                [rows, steps, ..], have another width than those before or are integers, such as
                tokens.

        Examples:
            >>> mean = ActivationMean("hook_embed")
            >>> mean.add(torch.tensor([[[2.0], [9.0]]]), mask=torch.tensor([[True, False]]))
            >>> mean.value.item()
            2.0
        """
        check_layout(x, self.hook_name)
        if not x.is_floating_point():
            raise ValueError(
                f"{self.hook_name} carries {x.dtype}, whose mean is none; take that of hook_embed"
            )
        flat = x.detach().movedim(Axes.of(self.hook_name).step, 1)
        if mask is not None:
            check_mask("mask", mask, flat.shape[:2])
        counted = flat.flatten(0, 1) if mask is None else flat[mask]
        total = counted.sum(0, dtype=torch.float64)
        if self._total is not None and self._total.shape != total.shape:
            raise ValueError(
                f"a position at {self.hook_name} carries {tuple(total.shape)}, those before "
                f"{tuple(self._total.shape)}; keep one mean for each"
            )
        self._total = total if self._total is None else self._total + total
        self.count, self._dtype = self.count + len(counted), x.dtype

    @property
    def value(self) -> Float[Tensor, "1 _ ..."]:
        """The mean so far, in the activations' dtype, in the shape patches take.

        Raises:
            ValueError: nothing has been taken in.

        Examples:
            >>> ActivationMean("hook_embed").value
            Traceback (most recent call last):
            ValueError: no activation of hook_embed has been added yet
        """
        if self._total is None or not self.count:
            raise ValueError(f"no activation of {self.hook_name} has been added yet")
        mean = (self._total / self.count).to(self._dtype)
        return mean[None, None].movedim(1, Axes.of(self.hook_name).step)
