"""How a command ends, and what it says then."""

from __future__ import annotations

import sys
from typing import NoReturn


def one_line(error: Exception | str) -> str:
    """An error as one line that says what to do."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}; mend that and give the same command again"
    return " ".join(str(error).split())


def leave(code: int, message: str) -> NoReturn:
    """Ends the command with a message on standard error."""
    print(f"irl-lens: {message}", file=sys.stderr)
    raise SystemExit(code)
