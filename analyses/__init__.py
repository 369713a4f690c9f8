"""Analyses of a run: score, probe and draw.

Every analysis is a plain function that returns a frozen result with ``figure()`` (plotly)
and ``to_dataframe()``. :func:`irl_lens.analyses.report.evaluate.evaluate_run` gathers the numbers
of all of them, :func:`irl_lens.analyses.report.report.build_report` their figures. :func:`explore`
opens a run to be patched, edited, steered and forked by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from irl_lens.analyses.explorer.web.server import Server
    from irl_lens.runs.run import Run

__all__ = ["explore"]


def explore(run: Run | str, port: int | None = None, browser: bool = False) -> Server:
    """Shows a run in the explorer; see :func:`irl_lens.analyses.explorer.explore`."""
    from irl_lens.analyses import explorer

    return explorer.explore(run, port, browser)
