"""Analyses of a run: score, probe and draw.

Every analysis is a plain function that returns a
:class:`irl_lens.analyses.core.result.Result`, and has a name in :mod:`irl_lens.analyses.registry`;
:mod:`irl_lens.analyses.analyze` runs them by name. The report, the evaluation and the scan are
selections of them. :func:`explore` opens a run to be patched, edited, steered and forked by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from irl_lens.analyses.explorer.server import Server
    from irl_lens.runs.run import Run

__all__ = ["explore"]


def explore(run: Run | str, port: int | None = None, browser: bool = False) -> Server:
    """Shows a run in the explorer; see :func:`irl_lens.analyses.explorer.explore`."""
    from irl_lens.analyses import explorer

    return explorer.explore(run, port, browser)
