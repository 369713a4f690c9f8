"""What a result was made with: the command, versions, commit and machine size beside it."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from irl_lens.models.device import described
from irl_lens.processes import here

_LIBRARIES = ("torch", "transformer-lens", "numpy", "gymnasium", "mujoco", "irl-lens")


def describe(device: torch.device | None = None) -> dict[str, Any]:
    """Returns command, library versions, commit, cores and threads of this process.

    And how many processes train together, if they do.

    Args:
        device: Where a result was computed, which is then told too.
    """
    program = Path(sys.argv[0]).name if sys.argv else ""
    return {
        "command": shlex.join([program, *sys.argv[1:]]),
        "versions": {"python": platform.python_version()} | {n: _version(n) for n in _LIBRARIES},
        "commit": commit(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        **({"processes": here()[1]} if here()[1] > 1 else {}),
        **({} if device is None else {"device": described(device)}),
    }


def _version(library: str) -> str | None:
    if library == "torch":  # the package's own version does not say which device it was built for
        return str(torch.__version__)
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def commit() -> str | None:
    """The commit this package was run from; None when it does not lie in its own checkout."""
    package = Path(__file__).resolve().parents[1]
    command = ["git", "-C", str(package), "rev-parse", "--show-toplevel", "HEAD"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    top, commit = answer.stdout.split("\n")[:2]
    # An installed copy may lie in a virtual environment inside somebody else's repository.
    return commit if Path(top) == package.parent else None
