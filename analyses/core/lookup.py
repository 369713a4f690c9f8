"""Analyses by name."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TypeVar

from irl_lens.errors import UserError

T = TypeVar("T")


def look_up(known: Mapping[str, T], name: str, of: str = "") -> T:
    """Looks an analysis up.

    Args:
        known: All there are.
        name: The one that is wanted.
        of: What they are analyses of, for the error.

    Raises:
        UserError: If there is none of that name; names the nearest, or all of them.
    """
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        raise UserError(f"no analysis {name!r}{of}; {hint}")
    return known[name]
