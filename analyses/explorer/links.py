"""A state with its run as text: as JSON for a file, and short enough for a link.

    text = base64url(deflate(JSON {"run", "base", "state"}))

``base`` is the hash of the base model that the state was made with: another one is refused.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from typing import Any

from irl_lens.analyses.explorer.session import Explorer
from irl_lens.errors import UserError
from irl_lens.hooks.files.json_text import to_json

LARGEST = 2**21
"""The longest JSON that is read [bytes]."""
WANTED = "give a file that the explorer wrote"


def kept(session: Explorer) -> dict[str, Any]:
    """Returns what a file of the present state holds, as plain values."""
    workbench = session.workbench
    run = {"run": workbench.run.folder.name, "base": workbench.hash}
    return run | {"state": session.state.plain()}


def packed(session: Explorer) -> str:
    """Returns the same as text for a link: letters, digits, ``-`` and ``_``."""
    text = zlib.compress(to_json(kept(session)).encode(), 9)
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def unpacked(text: str) -> str:
    """Undoes :func:`packed`; returns JSON.

    Raises:
        UserError: The text is of no link.
    """
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        unzip = zlib.decompressobj()
        found = unzip.decompress(raw, LARGEST)
        if not unzip.eof:
            raise UserError(f"the link is cut, or more than {LARGEST} bytes long; copy all of it")
        return found.decode()
    except (binascii.Error, zlib.error, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"this is no link to a state ({error}); copy all of it") from error


def opened(session: Explorer, text: str | bytes) -> None:
    """Opens what :func:`kept` returned, as JSON; the state of before can be undone to.

    Raises:
        UserError: It is no such thing, or was made with another base.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"this is no JSON ({error}); {WANTED}") from error
    if not isinstance(found, dict) or not {"run", "base", "state"} <= found.keys():
        raise UserError(f"this is no state of the explorer; {WANTED}")
    session.restore(found["state"], found["base"], str(found["run"]))
