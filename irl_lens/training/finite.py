"""Whether training is still among the numbers; what has left them is never logged or saved.

    a sum is finite only if every number in it is

so a tensor is read once; where its sum is not finite, which finite numbers can do too, each
number is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from irl_lens.errors import UserError


class DivergedError(UserError):
    """Training came to numbers that are not finite; nothing of the kind was saved."""


def not_finite(values: Mapping[str, Tensor | float]) -> str | None:
    """Names the first of some tensors and figures that holds a number that is not finite."""
    return next((name for name, value in values.items() if not _finite(value)), None)


def _finite(value: Tensor | float) -> bool:
    if not isinstance(value, Tensor):
        return math.isfinite(value)
    if not value.is_floating_point():
        return True
    return math.isfinite(float(value.sum())) or bool(value.isfinite().all())
