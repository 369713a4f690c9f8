"""What a command shows besides its results, and how it ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from irl_lens.progress import Progress


@contextmanager
def progress() -> Iterator[Progress]:
    """Shows progress while the commands' work is done."""
    from irl_lens.progress import progress_display

    display = progress_display()
    try:
        yield display
    finally:
        display.close()


def has_screen() -> bool:
    """Whether a web browser would have a window to open."""
    # Without this a machine with no screen would open a text browser in the terminal.
    windowed = sys.platform in ("win32", "darwin")
    return windowed or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def one_line(error: Exception | str) -> str:
    """An error as one line that says what to do."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}; mend that and give the same command again"
    return " ".join(str(error).split())


def leave(code: int, message: str) -> NoReturn:
    """Ends the command with a message on standard error."""
    print(f"irl-lens: {message}", file=sys.stderr)
    raise SystemExit(code)
