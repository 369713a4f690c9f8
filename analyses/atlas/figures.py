"""The figures of an atlas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from irl_lens.analyses.style import CONTRAST, GREY, MAIN, styled

if TYPE_CHECKING:
    from irl_lens.analyses.atlas.atlas import Atlas, Entry

SEQUENTIAL = [[0.0, "#FFFFFF"], [1.0, MAIN]]
DIVERGING = [[0.0, MAIN], [0.5, "#FFFFFF"], [1.0, CONTRAST]]
KINDS = {"steered": "controller", "placebo": "placebo", "alone": "no control"}
WEIGHTS = 16
"""Weights shown, those furthest from the placebo."""


def overview(atlas: Atlas) -> go.Figure:
    """Draws which subgoal comes first, in three conditions, and the controllers' likeness."""
    titles = (*(f"first subgoal: {kind}" for kind in KINDS.values()), "cosine of controllers")
    figure = make_subplots(cols=4, subplot_titles=titles, horizontal_spacing=0.07)
    own = [entry.name for entry in atlas.entries]
    for column, kind in enumerate(KINDS, start=1):
        figure.add_heatmap(
            z=atlas.hits(kind),
            x=atlas.names,
            y=own,
            texttemplate="%{z:.2f}",
            colorscale=SEQUENTIAL,
            zmin=0,
            zmax=1,
            showscale=False,
            row=1,
            col=column,
        )
    figure.add_heatmap(
        z=atlas.cosines,
        x=own,
        y=own,
        texttemplate="%{z:.2f}",
        colorscale=DIVERGING,
        zmin=-1,
        zmax=1,
        showscale=False,
        row=1,
        col=4,
    )
    figure.update_xaxes(title="reached first", showgrid=False, type="category")
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category")
    figure.update_yaxes(title="controller", col=1)
    figure.update_xaxes(title="controller", col=4)
    return styled(figure, "Controllers, what they lead to and how alike they are", 380)


def occupancy(entry: Entry, size: int) -> go.Figure:
    """Draws time by cell, with the controller, without, and with less without; the placebo too."""
    found = entry.behaviour
    with_, without, placebo = (
        way.occupancy.reshape(size, size) for way in (found.steered, found.alone, found.placebo)
    )
    panels = {
        "with": (with_, SEQUENTIAL),
        "without": (without, SEQUENTIAL),
        "with − without": (with_ - without, DIVERGING),
        "placebo − without": (placebo - without, DIVERGING),
    }
    figure = make_subplots(cols=4, subplot_titles=tuple(panels), horizontal_spacing=0.04)
    most = max(float(with_.max()), float(without.max()), 1e-9)
    gap = max(float(np.abs(x - without).max()) for x in (with_, placebo)) or 1e-9
    for column, (values, scale) in enumerate(panels.values(), start=1):
        low, high = (0, most) if scale is SEQUENTIAL else (-gap, gap)
        figure.add_heatmap(
            z=values,
            colorscale=scale,
            zmin=low,
            zmax=high,
            showscale=column in (1, 4),
            colorbar={"thickness": 10, "tickformat": ".1%"} | _beside(column),
            hovertemplate="row %{y}, column %{x}: %{z:.2%}<extra></extra>",
            row=1,
            col=column,
        )
    figure.update_xaxes(showticklabels=False, showgrid=False, ticks="")
    figure.update_yaxes(showticklabels=False, showgrid=False, ticks="", autorange="reversed")
    return styled(figure, f"{entry.name}: share of time by cell of the board", 330)


def _beside(column: int) -> dict[str, float | str]:
    """Where a scale stands: left of the first panel, right of the last."""
    return {"x": -0.01, "xanchor": "right"} if column == 1 else {"x": 1.01, "xanchor": "left"}


def spectrum(entry: Entry) -> go.Figure:
    """Draws the singular values."""
    figure = go.Figure().add_scatter(
        x=np.arange(1, 1 + len(entry.values)), y=entry.values, mode="lines+markers"
    )
    figure.update_traces(line_color=MAIN)
    figure.update_xaxes(title="singular value")
    figure.update_yaxes(title="size", rangemode="tozero")
    title = f"{entry.name}: spectrum, effective rank {entry.effective_rank:.1f}"
    return styled(figure, title, 320)


def directions(entry: Entry) -> go.Figure:
    """Draws the scores that differ most from the placebo's."""
    shown = sorted(entry.scores, key=lambda s: abs(s.value - s.placebo))[-WEIGHTS:]
    labels = [f"{s.side} {s.target} (p {s.p:.2f})" for s in shown]
    figure = go.Figure()
    figure.add_bar(
        x=[s.value for s in shown], y=labels, orientation="h", name="controller", marker_color=MAIN
    )
    figure.add_bar(
        x=[s.placebo for s in shown], y=labels, orientation="h", name="placebo", marker_color=GREY
    )
    figure.update_xaxes(title="score, 0 to 1", rangemode="tozero")
    height = 180 + 32 * len(shown)
    return styled(figure, f"{entry.name}: what it reads and writes", height)
