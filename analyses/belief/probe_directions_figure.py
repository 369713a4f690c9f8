"""The figure of :mod:`irl_lens.analyses.belief.probe_directions`: tables, and singular vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from irl_lens.analyses.belief.layer_directions import ALPHA, Alignment, LayerDirections
from irl_lens.analyses.figures.style import GREY, styled, subgoal_colours
from irl_lens.analyses.patching.grid import SCALE

SHOWN = 24
"""Most singular vectors drawn of each controller."""


def draw(layers: Sequence[LayerDirections], names: tuple[str, ...], controllers: str) -> go.Figure:
    """Draws one row of tables a layer, and the singular vectors of the layer that reads most.

    Args:
        layers: Those that have controllers.
        names: Names of the labels.
        controllers: What the controllers are, for the title.
    """
    rows = len(layers) + 1
    titles = [
        f"layer {found.layer}: {a.side} (random {a.random:.2f})"
        for found in layers
        for a in found.alignments
    ]
    best = max(layers, key=lambda found: found.alignments[0].own)
    titles += [f"layer {best.layer}, each singular vector {side}" for side in ("read", "written")]
    height = 150 + 270 * rows
    figure = make_subplots(
        rows, 3, subplot_titles=titles, vertical_spacing=100 / height, horizontal_spacing=0.09
    )
    for row, found in enumerate(layers, start=1):
        for column, alignment in enumerate(found.alignments, start=1):
            figure.add_trace(_table(alignment, names), row=row, col=column)
            figure.update_xaxes(title="probe's class", showgrid=False, row=row, col=column)
            figure.update_yaxes(autorange="reversed", showgrid=False, row=row, col=column)
        figure.update_yaxes(title="controller", row=row, col=1)
    for side in (0, 1):
        _vectors(figure, best, names, side, rows)
    bound = max(float(np.abs(a.value[0]).max()) for f in layers for a in f.alignments)
    bar = {"title": "cosine", "tickformat": ".2~g", "len": 0.5, "y": 1, "yanchor": "top"}
    axis = {"colorscale": SCALE, "cmin": -bound, "cmax": bound, "colorbar": bar}
    title = f"Directions of probes and of {controllers}"
    legend = {"x": 0.72, "y": 180 / height, "orientation": "v", "yanchor": "top"}
    return styled(figure, title, height, coloraxis=axis, legend=legend)


def _table(alignment: Alignment, names: tuple[str, ...]) -> go.Heatmap:
    value, low, high = alignment.value
    text = np.char.add(np.char.mod("%.2f", value), np.where(alignment.p < ALPHA, "*", ""))
    return go.Heatmap(
        x=list(names),
        y=list(names),
        z=value,
        text=text,
        texttemplate="%{text}",
        customdata=np.stack([low, high, alignment.p], axis=-1),
        coloraxis="coloraxis",
        hovertemplate="controller %{y}, class %{x}: %{z:.3f} (95 % %{customdata[0]:.3f} to "
        "%{customdata[1]:.3f}), adjusted p %{customdata[2]:.3f}<extra></extra>",
    )


def _vectors(
    figure: go.Figure, found: LayerDirections, names: tuple[str, ...], side: int, row: int
) -> None:
    """|cos| of each singular vector with the class of its own controller."""
    count = min(found.cosines.shape[2], SHOWN)
    for i, (name, colour) in enumerate(subgoal_colours(names).items()):
        figure.add_scatter(
            x=np.arange(1, count + 1),
            y=found.cosines[side, i, :count, i],
            mode="markers",
            name=f"controller {name}, own class",
            legendgroup=name,
            showlegend=side == 0,
            marker={"color": colour, "size": 8},
            row=row,
            col=1 + side,
        )
    limit = found.random_limit
    figure.add_scatter(
        x=[0.5, count + 0.5],
        y=[limit, limit],
        mode="lines",
        name="95 % of random directions",
        showlegend=side == 0,
        line={"color": GREY, "dash": "dot"},
        row=row,
        col=1 + side,
    )
    figure.update_xaxes(title="singular vector, largest first", row=row, col=1 + side)
    figure.update_yaxes(title="|cosine|", rangemode="tozero", row=row, col=1 + side)
