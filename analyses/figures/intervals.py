"""Estimates with their intervals, and one legend for several panels: what many figures share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from irl_lens.analyses.stats.estimates import Estimate

ABOVE_PANELS = {"legend": {"y": 1.12}, "margin": {"t": 120}}
"""Layout of one row of panels with titles: the legend stands above these."""


def with_intervals(estimates: Sequence[Estimate], **look: Any) -> dict[str, Any]:
    """Returns ``y`` and ``error_y`` of a trace: values, and bars from low to high.

    Args:
        estimates: One a point or bar.
        **look: Further settings of plotly's error bars.
    """
    bars = {
        "array": [e.high - e.value for e in estimates],
        "arrayminus": [e.value - e.low for e in estimates],
    }
    return {"y": [e.value for e in estimates], "error_y": bars | look}


def one_legend(name: str, shown: bool) -> dict[str, Any]:
    """Returns settings by which traces of one name in several panels have one legend entry.

    Args:
        name: What the legend says; a click on it hides all of these traces.
        shown: Whether this trace makes the entry: true for one of them.
    """
    return {"name": name, "legendgroup": name, "showlegend": shown}
