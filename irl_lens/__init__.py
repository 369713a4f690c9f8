"""Temporal abstraction and internal reinforcement learning inside sequence models.

After arXiv 2512.20605. What the command line gives, under the same names:

    >>> import irl_lens
    >>> run = irl_lens.load("grid")
    >>> episodes = run.world.demonstrate(2, seed=0)
    >>> run.base.n_layers, len(episodes)
    (6, 2)

Importing this package is cheap: torch and TransformerLens are imported by what uses them, when it
is used, and so are the rooms ``irl_lens.hooks``, ``irl_lens.envs``, ``irl_lens.analyses`` and
``irl_lens.conformance``.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from irl_lens.commands.interchange import convert, demonstrate, export
from irl_lens.commands.looking import analyze, compare, evaluate, explore, report, scan
from irl_lens.commands.opening import load
from irl_lens.commands.publishing import bundle, summary
from irl_lens.commands.sweeping import sweep
from irl_lens.commands.training import run, train

if TYPE_CHECKING:
    from irl_lens import analyses, conformance, envs, hooks

__version__ = "0.1.0"
__all__ = [
    "__version__",
    "analyses",
    "analyze",
    "bundle",
    "compare",
    "conformance",
    "convert",
    "demonstrate",
    "envs",
    "evaluate",
    "explore",
    "export",
    "hooks",
    "load",
    "report",
    "run",
    "scan",
    "summary",
    "sweep",
    "train",
]


def __getattr__(name: str) -> ModuleType:
    """Imports a room when it is first asked for."""
    if name in ("analyses", "conformance", "envs", "hooks"):
        return import_module(f"irl_lens.{name}")
    raise AttributeError(f"module 'irl_lens' has no attribute {name!r}")


def __dir__() -> list[str]:
    """What there is, rooms that were not imported yet among it."""
    return __all__
