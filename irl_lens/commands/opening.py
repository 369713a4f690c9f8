"""Runs by name or folder, and what all that is done with them shows meanwhile."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from irl_lens.processes import leads

if TYPE_CHECKING:
    import torch

    from irl_lens.progress import Progress
    from irl_lens.runs.run import Run


def load(run: Run | Path | str, device: torch.device | str | None = None) -> Run:
    """Opens a run: the folder of one, or a model that comes with the package.

        >>> import irl_lens
        >>> run = irl_lens.load("grid")
        >>> run.base.n_layers, list(run.controllers[1])
        (6, ['A', 'B', 'C', 'D'])

    Args:
        run: A run folder, or a bundled model's name such as ``"grid"``; an open run comes back
            as it is, unless another device is asked for.
        device: Where its parts are and compute: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, or
            ``"auto"``, the graphics card if torch sees one. What the environment variable
            ``IRL_LENS_DEVICE`` names when not given, or else ``"auto"``.

    Returns:
        The run. Its trained parts (``run.base``, ``run.controllers``, ``run.metacontroller``, ..)
        are loaded when first asked for; a run that is opened twice has parts of its own each time.

    Raises:
        UserError: If it is neither a run folder nor a bundled model, or there is no such device.
        CheckpointError: If its ``config.json`` is damaged or was edited.
    """
    from irl_lens.models.device import find_device
    from irl_lens.runs.run import Run, find_run

    if isinstance(run, Run):
        return run if device is None else run.on(find_device(device))
    return find_run(run).on(find_device(device))


@contextmanager
def showing_progress() -> Iterator[Progress]:
    """Shows progress: bars on a terminal and in a notebook, lines elsewhere.

    Of processes that train together the first shows it.
    """
    from irl_lens.progress import QuietProgress, progress_display

    display = progress_display() if leads() else QuietProgress()
    try:
        yield display
    finally:
        display.close()


def has_screen() -> bool:
    """Whether a web browser would have a window to open."""
    # Without this a machine with no screen would open a text browser in the terminal.
    windowed = sys.platform in ("win32", "darwin")
    return windowed or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
