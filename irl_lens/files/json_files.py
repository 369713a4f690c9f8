"""JSON on disk: strictly of the standard, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from irl_lens.files.tensors import CheckpointError, read_bytes, write_bytes
from irl_lens.hooks.files.json_text import to_json


def write_json(path: Path | str, value: Any) -> None:
    """Writes JSON whole or not at all; a number that is not finite becomes null.

    Raises:
        OSError: If it cannot be written; what was at ``path`` before is still there.
    """
    write_bytes(path, (to_json(value, indent=2) + "\n").encode())


def read_json(path: Path | str, remedy: str) -> Any:
    """Reads JSON.

    Args:
        path: Where from.
        remedy: What to do when it is missing or damaged.

    Raises:
        CheckpointError: If the file is missing or damaged.
    """
    data = read_bytes(path, remedy)
    try:
        return parse_json(data)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged, not JSON: {error}; {remedy}") from error


def parse_json(data: bytes) -> Any:
    """Parses JSON in UTF-8, as the standard has it.

    Raises:
        ValueError: It is not, has NaN or Infinity, or a key comes twice.
        RecursionError: It is too deep.
    """
    return json.loads(data.decode(), object_pairs_hook=_unique, parse_constant=_refuse)


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError(f"a key comes twice among {[key for key, _ in pairs]}")
    return values


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number")
