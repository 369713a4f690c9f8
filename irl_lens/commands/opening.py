"""Runs by name or folder, and what all that is done with them shows meanwhile."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from irl_lens.progress import Progress
    from irl_lens.runs.run import Run


def load(run: Run | Path | str) -> Run:
    """Opens a run: the folder of one, or a model that comes with the package.

        >>> import irl_lens
        >>> run = irl_lens.load("grid")
        >>> run.base.n_layers, list(run.controllers[1])
        (6, ['A', 'B', 'C', 'D'])

    Args:
        run: A run folder, or a bundled model's name such as ``"grid"``; an open run comes back
            as it is.

    Returns:
        The run. Its trained parts (``run.base``, ``run.controllers``, ``run.metacontroller``, ..)
        are loaded when first asked for; a run that is opened twice has parts of its own each time.

    Raises:
        UserError: If it is neither a run folder nor a bundled model.
        CheckpointError: If its ``config.json`` is damaged or was edited.
    """
    from irl_lens.runs.run import Run, find_run

    return run if isinstance(run, Run) else find_run(run)


@contextmanager
def showing_progress() -> Iterator[Progress]:
    """Shows progress: bars on a terminal and in a notebook, lines elsewhere."""
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
