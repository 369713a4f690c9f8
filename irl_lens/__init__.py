"""Temporal abstraction and internal reinforcement learning inside sequence models.

After arXiv 2512.20605. Importing this package is cheap: torch and TransformerLens are
imported by the modules that use them, when they are used.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from irl_lens.runs.run import Run

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(name_or_folder: str | Path) -> Run:
    """Opens a run: the folder of one, or a model that comes with the package.

    Args:
        name_or_folder: A run folder, or a bundled model's name such as ``"grid"``.

    Returns:
        The run; ``run.stage("base").weights()`` and so on are its trained parts.

    Raises:
        UserError: If it is neither a run folder nor a bundled model.
    """
    from irl_lens.runs.run import find_run

    return find_run(name_or_folder)
