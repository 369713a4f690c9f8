"""The figure of :mod:`irl_lens.analyses.gate.detection`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from irl_lens.analyses.figures.style import CONTRAST, GREY, MAIN, styled

if TYPE_CHECKING:
    from irl_lens.analyses.gate.detection import BoundaryDetection
    from irl_lens.analyses.stats.estimates import Estimate

NULLS = ("circular shift", "Poisson")
REACH = 5
"""Latencies beyond so many steps are drawn together."""


def draw(result: BoundaryDetection) -> go.Figure:
    """Draws scores, latencies and gates, each with its nulls."""
    titles = ("detection of boundaries", "steps to the nearest switch", "gates")
    figure = make_subplots(cols=3, subplot_titles=titles, column_widths=[0.4, 0.35, 0.25])
    _scores(figure, result)
    ends = [str(n) for n in range(1 - REACH, REACH)]
    bins = [f"<{1 - REACH}", *ends, f">{REACH - 1}", "none"]
    for name, shares, colour in (
        ("gate", result.latency, MAIN),
        ("circular shift", result.latency_null, GREY),
    ):
        figure.add_bar(x=bins, y=shares, marker_color=colour, **_legend(name, False), col=2, row=1)
    middles = (np.arange(len(result.beta)) + 0.5) / len(result.beta)
    bars = {"marker_color": MAIN, "width": 1 / len(result.beta)}
    figure.add_bar(x=middles, y=result.beta, **bars, **_legend("gate", False), col=3, row=1)
    figure.update_yaxes(title="score", range=[0, 1.05], col=1)
    figure.update_yaxes(title="share of boundaries", rangemode="tozero", col=2)
    figure.update_xaxes(title="steps, late is positive", type="category", tickangle=0, col=2)
    figure.update_yaxes(title="share of steps", type="log", tickformat=".0e", dtick=1, col=3)
    figure.update_xaxes(title="beta", col=3)
    layout = {"legend": {"y": 1.14}, "margin": {"t": 120}}
    return styled(figure, "The gate as a detector of boundaries", 430, **layout)


def _scores(figure: go.Figure, result: BoundaryDetection) -> None:
    bars: dict[str, list[Estimate]] = {"gate": []} | {name: [] for name in NULLS}
    labels = []
    for found in result.detections:
        labels.append(f"F1, ±{found.tolerance}" if found.tolerance else "F1, exact")
        bars["gate"].append(found.f1)
        for name in NULLS:
            bars[name].append(found.nulls[name].score)
    bars["gate"].append(result.agreement.score)
    for name in NULLS:
        bars[name].append(result.agreement.nulls[name])
    for (name, scores), colour in zip(bars.items(), (MAIN, GREY, CONTRAST), strict=True):
        figure.add_bar(
            x=[*labels, "Rand index"],
            y=[s.value for s in scores],
            error_y={
                "array": [s.high - s.value for s in scores],
                "arrayminus": [s.value - s.low for s in scores],
            },
            marker_color=colour,
            **_legend(name, True),
            row=1,
            col=1,
        )


def _legend(name: str, shown: bool) -> dict:
    return {"name": name, "legendgroup": name, "showlegend": shown}
