"""JSON as the standard has it: a number that is not finite is null."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def to_json(value: Any, indent: int | None = None) -> str:
    """Returns a value as JSON, with null where a float is NaN or infinite.

    Args:
        value: value to write; mappings, lists and tuples are searched for such floats.
        indent: spaces of indentation, as :func:`json.dumps` takes them.

    Raises:
        TypeError: something in it is not JSON-able.

    Examples:
        >>> to_json({"nll": float("nan"), "seeds": (0, 1)})
        '{"nll": null, "seeds": [0, 1]}'
    """
    return json.dumps(finite(value), indent=indent, allow_nan=False)


def finite(value: Any) -> Any:
    """Returns a copy with None where a float is NaN or infinite.

    Args:
        value: anything; mappings, lists and tuples are searched.

    Examples:
        >>> finite([0.5, float("inf")])
        [0.5, None]
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value
