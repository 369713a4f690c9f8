"""The figure of :mod:`irl_lens.analyses.codes.rate_distortion`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from irl_lens.analyses.codes.rate_distortion_point import Point
from irl_lens.analyses.figures.style import CONTRAST, GREY, INK, styled
from irl_lens.analyses.stats.estimates import Estimate

LEAST = 1e-3
"""A smaller rate [nats a step] is drawn as this, so that collapsed runs do not stretch the axis."""
BASES = (("base frozen", False, "circle", "solid"), ("base trained too", True, "diamond", "dash"))
_RING = {"symbol": "circle-open", "size": 11, "color": CONTRAST, "line": {"width": 3}}


def draw(points: Sequence[Point], boundaries: float) -> go.Figure:
    """Draws distortion and switches over the rate: a point a run, a line through medians.

    Args:
        points: One a run.
        boundaries: True boundaries an episode.
    """
    titles = ("distortion", "switches an episode, after the first step")
    figure = make_subplots(cols=2, subplot_titles=titles, horizontal_spacing=0.1)
    for name, cotrained, symbol, dash in BASES:
        own = [point for point in points if point.cotrained == cotrained]
        for column, field in enumerate(("distortion", "switches"), start=1):
            if own:
                _curve(figure, own, field, dash, column)
                _points(figure, own, field, name, symbol, column)
    frozen = [point for point in points if not point.cotrained] or points
    alone = float(np.median([point.without.value for point in frozen]))
    figure.add_scatter(x=[None], y=[None], name="aligned", mode="markers", marker=_RING)
    for column, y, text, position in (
        (1, alone, "base without codes", "top right"),
        (2, boundaries, "true boundaries", "bottom right"),
    ):
        said = {"annotation_text": text, "annotation_font_color": GREY}
        at = {"row": 1, "col": column, "annotation_position": position}
        figure.add_hline(y=y, line={"color": GREY, "dash": "dot"}, **said, **at)  # type: ignore
    rates = np.log10([_drawn(point.rate) for point in points])
    reach = [rates.min() - 0.1, rates.max() + 0.3]  # room for what is written beside the last
    figure.update_xaxes(
        title=f"rate: KL, nats a step (at least {LEAST:g})", type="log", range=reach
    )
    figure.update_yaxes(title="action NLL, nats a step", col=1)
    figure.update_yaxes(title="switches", rangemode="tozero", col=2)
    bar = {"title": "gate's F1", "thickness": 14, "tickformat": ".1f"}
    axis = {"colorscale": "Viridis", "cmin": 0, "cmax": 1, "colorbar": bar}
    layout = {"coloraxis": axis, "legend": {"y": 1.12}, "margin": {"t": 120, "r": 90}}
    return styled(figure, "Rate and distortion of discovery", 470, **layout)


def _curve(figure: go.Figure, points: Sequence[Point], field: str, dash: str, column: int) -> None:
    """Joins the medians over seeds of each alpha, which are written beside them."""
    medians = list(_medians(points, field))
    figure.add_scatter(
        x=[x for _, x, _ in medians],
        y=[y for _, _, y in medians],
        text=[f"   α {alpha:g}" for alpha, _, _ in medians] if column == 1 else None,
        mode="lines+text" if column == 1 else "lines",
        textposition="middle right",
        textfont={"size": 10, "color": GREY},
        line={"color": INK, "dash": dash, "width": 1},
        showlegend=False,
        hoverinfo="skip",
        row=1,
        col=column,
    )


def _points(
    figure: go.Figure, points: Sequence[Point], field: str, name: str, symbol: str, column: int
) -> None:
    y = [getattr(point, field) for point in points]
    figure.add_scatter(
        x=[_drawn(point.rate) for point in points],
        y=[e.value for e in y],
        error_y={
            "array": [e.high - e.value for e in y],
            "arrayminus": [e.value - e.low for e in y],
            "color": GREY,
            "thickness": 1,
            "width": 0,
        },
        mode="markers",
        name=name,
        legendgroup=name,
        showlegend=column == 1,
        text=[f"{p.run}<br>alpha {p.alpha:g}, seed {p.seed}" for p in points],
        customdata=[p.f1.value for p in points],
        hovertemplate="%{text}<br>rate %{x:.3g}, %{y:.3f}, F1 %{customdata:.3f}<extra></extra>",
        marker={
            "symbol": symbol,
            "size": 11,
            "color": [p.f1.value for p in points],
            "coloraxis": "coloraxis",
            "line": {
                "color": [CONTRAST if p.aligned else INK for p in points],
                "width": [3 if p.aligned else 1 for p in points],
            },
        },
        row=1,
        col=column,
    )


def _medians(points: Sequence[Point], field: str) -> Iterator[tuple[float, float, float]]:
    """Each alpha, and the medians over its runs of rate and field."""
    for alpha in sorted({point.alpha for point in points}):
        own = [point for point in points if point.alpha == alpha]
        x = float(np.median([_drawn(point.rate) for point in own]))
        yield alpha, x, float(np.median([getattr(point, field).value for point in own]))


def _drawn(rate: Estimate) -> float:
    return max(rate.value, LEAST)
