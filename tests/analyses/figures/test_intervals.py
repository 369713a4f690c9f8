"""Bars reach from low to high, and one legend entry stands for all panels."""

from __future__ import annotations

import plotly.graph_objects as go
import pytest
from plotly.subplots import make_subplots

from irl_lens.analyses.figures.intervals import one_legend, with_intervals
from irl_lens.analyses.stats.estimates import Estimate


def test_bars_reach_from_low_to_high() -> None:
    bar = go.Bar(**with_intervals([Estimate(0.5, 0.2, 0.6), Estimate(1.0, 1.0, 1.5)], width=3))
    shown = bar.to_plotly_json()
    assert shown["y"] == [0.5, 1.0] and shown["error_y"]["width"] == 3
    assert shown["error_y"]["array"] == pytest.approx([0.1, 0.5])
    assert shown["error_y"]["arrayminus"] == pytest.approx([0.3, 0.0])


def test_one_entry_stands_for_the_traces_of_all_panels() -> None:
    figure = make_subplots(cols=2)
    for column in (1, 2):
        figure.add_scatter(y=[0], **one_legend("gate", column == 1), row=1, col=column)
    first, second = figure.to_plotly_json()["data"]
    assert first["showlegend"] and not second["showlegend"]
    assert first["legendgroup"] == second["legendgroup"] == "gate"
