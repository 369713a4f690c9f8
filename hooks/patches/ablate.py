"""Ablation: x <- 0, the mean of a data set, or what another row has."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor

from irl_lens.hooks.core.address import Axes, check_layout
from irl_lens.hooks.patches.patch import Patch


class AblatePatch(Patch):
    """x <- 0, or the mean of a reference batch, or another row of it.

    Args:
        hook_name: hook point that is patched.
        method: "zero"; "mean" over the reference's rows and steps; "resample": row i takes
            another row of the reference, drawn once, so that it is the same in every call.
        reference: activations at the hook point, for all but "zero": a batch, or for the
            mean over a data set the value of an :class:`ActivationMean`.
        seed: draws the resampling.
        **address: `rows`, `steps`, `heads`, `keys`, as of :class:`Patch`.

    Raises:
        ValueError: a reference is missing, has a single row to resample, or a mean that is not
            finite, as attention scores have, which are minus infinity where they are hidden;
            or to take the mean of what is not [rows, steps, ..].

    Examples:
        >>> batch = torch.tensor([[[1.0], [2.0]], [[3.0], [6.0]]])
        >>> AblatePatch("hook_embed", steps=[1])(batch).flatten()
        tensor([1., 0., 3., 0.])
        >>> AblatePatch("hook_embed", "mean", batch, steps=[1])(batch).flatten()
        tensor([1., 3., 3., 3.])
        >>> AblatePatch("hook_embed", "resample", batch, steps=[1])(batch).flatten()
        tensor([1., 6., 3., 2.])
    """

    reference: Tensor | None

    def __init__(
        self,
        hook_name: str,
        method: str = "zero",
        reference: Shaped[Tensor, "_ ..."] | None = None,
        seed: int = 0,
        **address: Any,
    ) -> None:
        super().__init__(hook_name, **address)
        if method not in ("zero", "mean", "resample"):
            raise ValueError(f"method {method!r}; there are 'zero', 'mean' and 'resample'")
        if (method == "zero") != (reference is None):
            needs = "takes no" if method == "zero" else "needs a"
            raise ValueError(f"method {method!r} {needs} reference batch of activations")
        if reference is not None and method == "resample":
            _check_rows(reference)
        self.method, self.seed = method, seed
        if reference is None:
            self.register_buffer("reference", None)
        else:
            self.hold("reference", self._mean(reference) if method == "mean" else reference)

    def _mean(self, reference: Tensor) -> Tensor:
        """Returns the mean over rows and steps; one that was taken already stays the same."""
        axes = (0, Axes.of(self.hook_name).step)
        check_layout(reference, self.hook_name)
        taken = all(reference.shape[axis] == 1 for axis in axes)
        mean = reference if taken else reference.mean(axes, keepdim=True)
        if not mean.isfinite().all():
            raise ValueError(
                f"the mean at {self.hook_name} is not finite; leave padding out with an "
                "ActivationMean, and in place of attention scores ablate hook_pattern"
            )
        return mean

    def replacement(self, x: Tensor) -> Tensor:
        if self.reference is None:
            return torch.zeros_like(x)
        if self.method == "mean":
            return self.placed(self.reference, x)
        return self.placed(self.reference[another_row(len(self.reference), self.seed)], x)

    def config(self) -> dict[str, Any]:
        return {**super().config(), "method": self.method, "seed": self.seed}


def _check_rows(reference: Tensor) -> None:
    """Raises ValueError unless there are rows to exchange, and not the entries of a vector."""
    if reference.ndim < 2 or len(reference) < 2:
        raise ValueError(
            f"resampling from a reference {tuple(reference.shape)}; give at least 2 rows of "
            "activations"
        )


def another_row(rows: int, seed: int) -> list[int]:
    """Returns, for each row, another one: a random permutation of a single cycle.

    Examples:
        >>> another_row(3, seed=0)
        [1, 2, 0]
    """
    order = torch.randperm(rows, generator=torch.Generator().manual_seed(seed)).tolist()
    successor = dict(zip(order, order[1:] + order[:1], strict=True))
    return [successor[row] for row in range(rows)]
