"""The figure of :mod:`irl_lens.analyses.codes.clusters`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from irl_lens.analyses.figures.style import GREY, MAIN, styled, subgoal_colours
from irl_lens.arrays import NDArray

if TYPE_CHECKING:
    from irl_lens.analyses.codes.clusters import LatentSpace, Score


def draw(result: LatentSpace) -> go.Figure:
    """Draws the codes in the plane, by UMAP too if there is one, and scores beside nulls."""
    clouds = [result.points] if result.unrolled is None else [result.points, result.unrolled]
    n, names = len(clouds), ["codes at switches", "the same by UMAP"][: len(clouds)]
    figure = make_subplots(
        cols=n + 2,
        subplot_titles=[*names, "purity", "information, bits"],
        column_widths=[0.6 / n] * n + [0.2, 0.2],
    )
    for column, cloud in enumerate(clouds, start=1):
        _cloud(figure, result, column, cloud)
    for column, score in ((n + 1, result.purity), (n + 2, result.information)):
        _bars(figure, column, score)
    for number, axis in enumerate((figure.update_xaxes, figure.update_yaxes), start=1):
        share = f"{result.explained[number - 1]:.0%}".replace("%", " %")
        axis(title=f"z, principal axis {number} ({share})", col=1)
        if n > 1:
            axis(title=f"UMAP, axis {number}", showticklabels=False, col=2)
    figure.update_yaxes(range=[0, 1.05], col=n + 1)
    figure.update_yaxes(range=[0, 1.05 * max(result.entropy, 0.1)], col=n + 2)
    layout = {"legend": {"y": 1.12}, "margin": {"t": 120}}
    return styled(figure, "What the codes are codes of", 460, **layout)


def _cloud(figure: go.Figure, result: LatentSpace, column: int, cloud: NDArray) -> None:
    for i, (name, colour) in enumerate(subgoal_colours(result.names).items()):
        own = cloud[result.labels == i]
        figure.add_scatter(
            x=own[:, 0],
            y=own[:, 1],
            mode="markers",
            name=f"subgoal {name}",
            legendgroup=name,
            showlegend=column == 1,
            marker={"color": colour, "size": 5, "opacity": 0.6},
            row=1,
            col=column,
        )


def _bars(figure: go.Figure, column: int, score: Score) -> None:
    for name, estimate, colour in (
        ("clusters", score.value, MAIN),
        ("labels<br>exchanged", score.null, GREY),
    ):
        figure.add_bar(
            x=[name],
            y=[estimate.value],
            error_y={
                "array": [estimate.high - estimate.value],
                "arrayminus": [estimate.value - estimate.low],
            },
            marker_color=colour,
            showlegend=False,
            row=1,
            col=column,
        )
