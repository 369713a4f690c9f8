"""Whole numbers that users give: checked before anything is made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int

from irl_lens.arrays import NDArray


def whole(values: Any, count: Any) -> Int[NDArray[np.int64], "*shape"] | None:
    """Returns values as whole numbers from 0 to ``count`` - 1; None if they are none.

    Args:
        values: Numbers or arrays of them; of any type, so long as nothing has to be rounded.
        count: How many numbers there are; of each value its own, if it is an array.
    """
    try:
        found = np.asarray(values)
    except ValueError:  # lists of different lengths
        return None
    if found.dtype.kind not in "biuf" or not ((found >= 0) & (found < count)).all():
        return None
    numbers = found.astype(np.int64)
    return numbers if (numbers == found).all() else None
