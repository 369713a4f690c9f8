"""JSON files that tell damage and edits: each has its format and a SHA-256 of its content.

    {"format": "irl-lens KIND 1", ..., "seal": SHA-256 of all the rest}

The seal is over the values, keys in order, and not over how they are laid out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from irl_lens.files.json_files import read_json
from irl_lens.files.tensors import CheckpointError, write_bytes
from irl_lens.hooks.files.json_text import finite, to_json

VERSION = 1
"""Version of the format of run folders and data sets; raised when any of their files changes."""


def sealed(kind: str, content: Mapping[str, Any]) -> bytes:
    """Returns the content of a sealed file.

    Args:
        kind: What it is, such as ``"config"``: no file is taken for another kind of file.
        content: JSON-able; numbers that are not finite become null.
    """
    body = finite({"format": f"irl-lens {kind} {VERSION}"} | dict(content))
    return (to_json(body | {"seal": _seal(body)}, indent=2) + "\n").encode()


def write_sealed(path: Path, kind: str, content: Mapping[str, Any]) -> None:
    """Writes a sealed file whole or not at all; arguments as of :func:`sealed`.

    Raises:
        OSError: If it cannot be written; what was at ``path`` before is still there.
    """
    write_bytes(path, sealed(kind, content))


def read_sealed(path: Path, kind: str, remedy: str) -> dict[str, Any]:
    """Reads what :func:`write_sealed` wrote.

    Args:
        path: Where from.
        kind: What it must be.
        remedy: What to do when it is damaged.

    Raises:
        CheckpointError: If it is missing, damaged, edited, or of another kind or version.
    """
    body = read_json(path, remedy)
    if not isinstance(body, dict) or "seal" not in body:
        raise CheckpointError(
            f"{path} has no seal: it is damaged or was written by an earlier version of irl-lens, "
            f"which can read it; {remedy}"
        )
    seal, expected = body.pop("seal"), f"irl-lens {kind} {VERSION}"
    if seal != _seal_or_none(body):
        raise CheckpointError(f"{path} is damaged or was edited, by its seal; {remedy}")
    if (found := body.pop("format", None)) != expected:
        raise CheckpointError(
            f"{path} has the format {found!r}, and this version of irl-lens reads {expected!r}; "
            f"{remedy}"
        )
    return body


def _seal(body: Mapping[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _seal_or_none(body: Mapping[str, Any]) -> str | None:
    try:
        return _seal(body)
    except (ValueError, RecursionError):  # a number beyond all floats, or too deep
        return None
