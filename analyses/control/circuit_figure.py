"""A circuit as a figure: what is lost without each part, and what each part writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from irl_lens.analyses.figures.style import GREY, MAIN, styled

if TYPE_CHECKING:
    from irl_lens.analyses.control.circuit import Circuit, Share


def draw(result: Circuit) -> go.Figure:
    """Draws what is lost without each part, and below what each part writes."""
    titles = (
        "lost when it is as without the controller (* beyond the null)",
        "written directly to the two actions' logits",
    )
    figure = make_subplots(2, 1, subplot_titles=titles, vertical_spacing=0.22)
    for row, shares in enumerate(((*result.lost, result.every), result.written), start=1):
        _bars(figure, row, shares)
        figure.update_yaxes(title="share of the effect", row=row, col=1)
    figure.update_xaxes(tickangle=-60, showgrid=False)
    layout = {"legend": {"y": 1.07}, "margin": {"t": 120, "l": 110}}
    return styled(figure, f"What controllers at layer {result.layer} recruit", 680, **layout)


def _bars(figure: go.Figure, row: int, shares: Sequence[Share]) -> None:
    curves = {
        "controller": ([s.value for s in shares], MAIN),
        "random controllers (lowest to highest)": ([s.null for s in shares], GREY),
    }
    for name, (estimates, colour) in curves.items():
        figure.add_bar(
            x=[s.name + " *" * s.beyond for s in shares],
            y=[e.value for e in estimates],
            error_y={
                "array": [e.high - e.value for e in estimates],
                "arrayminus": [e.value - e.low for e in estimates],
                "thickness": 1,
                "width": 2,
            },
            name=name,
            legendgroup=name,
            showlegend=row == 1,
            marker_color=colour,
            row=row,
            col=1,
        )
