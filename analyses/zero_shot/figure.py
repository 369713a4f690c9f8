"""The figure of zero-shot transfer: a line a condition, demonstrations left and success right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from irl_lens.analyses.figures.intervals import ABOVE_PANELS, with_intervals
from irl_lens.analyses.figures.style import CEILING, CONTRAST, GREY, MAIN, PALETTE, paler, styled
from irl_lens.analyses.stats.estimates import Estimate
from irl_lens.analyses.zero_shot.condition import PLAYERS, Condition

LOOKS = {
    "base": GREY,
    "controllers": CEILING,
    "codes": PALETTE[3],
    "mean": MAIN,
    "drawn": paler(MAIN),
}
APART = 0.13
"""Distance of points of one condition, of 1 between conditions."""


def conditions_figure(conditions: Sequence[Condition]) -> go.Figure:
    """Draws conditions from top to bottom."""
    titles = ("on demonstrations", "success, solvable boards")
    figure = make_subplots(cols=2, shared_yaxes=True, subplot_titles=titles)
    shown = {
        "gate, F1": ([x.f1 for x in conditions], CONTRAST, 1),
        "code, nearest centroid": ([x.identity for x in conditions], PALETTE[1], 1),
    }
    for player in conditions[0].outcomes:
        found = [x.outcomes[player].success_solvable for x in conditions]
        shown[PLAYERS[player]] = found, LOOKS[player], 2
    for column in (1, 2):
        own = {name: what[:2] for name, what in shown.items() if what[2] == column}
        for place, (name, (found, colour)) in enumerate(own.items()):
            shift = APART * (place - (len(own) - 1) / 2)
            figure.add_trace(_points(name, found, shift, colour), row=1, col=column)
    places = np.arange(len(conditions))
    figure.update_xaxes(range=[-0.02, 1.04])
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_yaxes(tickvals=places, ticktext=[x.name for x in conditions], col=1)
    height = 210 + 62 * len(conditions)
    return styled(figure, "One thing other than in training", height, **ABOVE_PANELS)


def _points(name: str, found: Sequence[Estimate], shift: float, colour: str) -> go.Scatter:
    bars = with_intervals(found)
    return go.Scatter(
        x=bars["y"],
        error_x=bars["error_y"],
        y=np.arange(len(found)) + shift,
        mode="markers",
        name=name,
        marker={"color": colour, "size": 9},
    )
