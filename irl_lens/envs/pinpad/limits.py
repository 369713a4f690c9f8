"""How large worlds and batches may be: beyond this, memory or patience would run out unannounced.

The largest board with the most colours takes about 1 MB while its shortest paths are found.
"""

from __future__ import annotations

from typing import Any

import numpy as np

MAX_SIZE = 32
"""Cells on a side of a board; the paper's has 7."""
MAX_COLOURS = 32
MAX_ROWS = 65_536
"""Boards made at once: rows of a vector environment, demonstrations of one draw."""
TRIES = 1_000
"""Boards drawn before it is asked how many of them were of use."""
RARE = 0.01
"""Share of solvable boards below which a world counts as one without."""


def too_rare(found: int, drawn: int) -> bool:
    """Whether so few boards can be solved that drawing on would take for ever."""
    return drawn >= TRIES and found < RARE * drawn


def check_epsilon(epsilon: float) -> None:
    """Raises ``ValueError`` unless it is a probability below 1."""
    if not 0 <= epsilon < 1:
        raise ValueError(f"epsilon {epsilon}; take a probability from 0 to below 1")


def check_whole(name: str, value: Any, low: int, high: int) -> None:
    """Raises ``ValueError`` unless ``value`` is a whole number from ``low`` to ``high``."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not low <= value <= high:
        raise ValueError(f"{name} {value!r}; take a whole number from {low} to {high}")
