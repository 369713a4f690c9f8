"""Belief over time as a figure: layers over steps, curves, and episodes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from irl_lens.analyses.belief.belief_source import Example, Source
from irl_lens.analyses.figures.style import (
    CEILING,
    CONTRAST,
    GREY,
    MAIN,
    paler,
    styled,
    subgoal_colours,
)

BLUES = [[0, "#FFFFFF"], [1, "#004D73"]]
"""White for nothing, dark blue for certainty."""

_EPISODES = {
    "title": {"text": "probe; dotted: exact filter; bands: truth ", "side": "left"},
    "orientation": "h",
    "x": 0,
    "y": 0.48,
    "yanchor": "top",
}


def draw(
    target: str,
    names: tuple[str, ...],
    layers: Sequence[Source],
    curves: tuple[Source, Source, Source, Source],
    examples: Sequence[Example],
) -> go.Figure:
    """Draws accuracy by layer and step, belief by step, and episodes one by one.

    Args:
        target: What is believed.
        names: Names of its values.
        layers: Beliefs read at every layer of the trained model.
        curves: The best layer, the exact filter, random weights and shuffled labels.
        examples: Single episodes.
    """
    figure = _panels(curves[0].layer, len(examples))
    _layers(figure, layers)
    for curve, colour in zip(curves, (MAIN, CEILING, CONTRAST, GREY), strict=True):
        _curve(figure, curve, colour)
    for i, example in enumerate(examples):
        _episode(figure, example, names, 1 + 2 * i, legend=i == 0)
    layout = {"legend": {"y": 1.05}, "margin": {"t": 120}, "legend2": _EPISODES}
    title = f"Belief about the {target} within an episode"
    return styled(figure, title, 820, **layout)


def _panels(best: int, episodes: int) -> go.Figure:
    titles = ("accuracy by layer and step", f"probability of the truth, layer {best}")
    figure = make_subplots(
        2,
        6,
        specs=[
            [{"colspan": 3}, None, None, {"colspan": 3}, None, None],
            [{"colspan": 2}, None] * 3,
        ],
        subplot_titles=[*titles, *(f"episode {i + 1}" for i in range(episodes))],
        vertical_spacing=0.24,
        horizontal_spacing=0.09,
    )
    figure.update_xaxes(title="step of the episode")
    figure.update_yaxes(range=[0, 1.02])
    figure.update_yaxes(title="layer", range=None, row=1, col=1)
    figure.update_yaxes(title="probability", title_standoff=2, row=1, col=4)
    figure.update_yaxes(title="probability", row=2, col=1)
    return figure


def _layers(figure: go.Figure, layers: Sequence[Source]) -> None:
    figure.add_heatmap(
        z=[source.right[0] for source in layers],
        y=[str(source.layer) for source in layers],
        customdata=np.stack([source.right[1:].T for source in layers]),
        colorscale=BLUES,
        zmin=0,
        zmax=1,
        colorbar={"x": 0.45, "y": 0.81, "len": 0.42, "thickness": 10, "tickvals": [0, 0.5, 1]},
        hovertemplate="layer %{y}, step %{x}: %{z:.3f} (95 % %{customdata[0]:.3f} to "
        "%{customdata[1]:.3f})<extra></extra>",
        row=1,
        col=1,
    )


def _curve(figure: go.Figure, source: Source, colour: str) -> None:
    value, low, high = source.given
    steps = np.arange(len(value))
    figure.add_scatter(
        x=[*steps, *steps[::-1]],
        y=[*high, *low[::-1]],
        fill="toself",
        fillcolor=paler(colour),
        opacity=0.5,
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
        row=1,
        col=4,
    )
    figure.add_scatter(x=steps, y=value, name=source.name, line={"color": colour}, row=1, col=4)


def _episode(
    figure: go.Figure, example: Example, names: tuple[str, ...], column: int, legend: bool
) -> None:
    """The true label as bands, the probe's probabilities as lines, the filter's dotted."""
    colours = list(subgoal_colours(names).values())
    for k, colour in enumerate(colours):
        common = {"legend": "legend2", "legendgroup": names[k], "row": 2, "col": column}
        line = {"color": colour, "width": 2}
        figure.add_scatter(
            y=example.probe[:, k], name=names[k], line=line, showlegend=legend, **common
        )
        line = {"color": colour, "width": 1.5, "dash": "dot"}
        figure.add_scatter(
            y=example.exact[:, k], name=f"{names[k]}, filter", line=line, showlegend=False, **common
        )
    start = 0
    for label, run in groupby(example.truth.tolist()):
        end = start + len(list(run))
        band = {"fillcolor": paler(colours[label], 0.2), "line_width": 0, "layer": "below"}
        figure.add_vrect(x0=start - 0.5, x1=end - 0.5, row=2, col=column, **band)  # type: ignore
        start = end
