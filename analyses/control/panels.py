"""What figures of controllers share: gap closed, success and subgoals reached, side by side."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from irl_lens.analyses.control.layer_control import LayerControl
from irl_lens.analyses.core.trial import Outcome
from irl_lens.analyses.figures.style import CONTRAST, GREY, MAIN
from irl_lens.analyses.stats.estimates import Estimate

PANELS = {"legend": {"y": 1.12}, "margin": {"t": 120}}


def control_panels(names: Sequence[str], found: Sequence[LayerControl], raw: Outcome) -> go.Figure:
    """Draws three panels of bars, each measure beside that of its control and of the base alone.

    Args:
        names: Of what is measured, along the horizontal axis.
        found: The measures.
        raw: The base alone on the held-out task.
    """
    titles = ("gap closed", "success, solvable boards", "subgoals reached")
    figure = make_subplots(cols=3, subplot_titles=titles)
    gaps = [x.gap_closed for x in found], [x.random_gap_closed for x in found]
    _panel(figure, 1, names, dict(zip(KINDS, gaps, strict=False)))
    for column, field in ((2, "success_solvable"), (3, "subgoals")):
        played = [x.outcome for x in found], [x.random for x in found], [raw] * len(found)
        estimates = ([getattr(outcome, field) for outcome in group] for group in played)
        _panel(figure, column, names, dict(zip(KINDS, estimates, strict=True)))
    figure.update_xaxes(type="category", showgrid=False)
    figure.update_yaxes(rangemode="tozero")
    for column, unit in enumerate(("share", "share of boards", "mean number"), start=1):
        figure.update_yaxes(title=unit, col=column)
    return figure


KINDS = {"true subgoal": MAIN, "random, same norm": CONTRAST, "base alone": GREY}


def _panel(
    figure: go.Figure, column: int, names: Sequence[str], kinds: dict[str, list[Estimate]]
) -> None:
    for kind, estimates in kinds.items():
        figure.add_bar(
            x=list(names),
            y=[e.value for e in estimates],
            error_y={
                "array": [e.high - e.value for e in estimates],
                "arrayminus": [e.value - e.low for e in estimates],
                "thickness": 1,
                "width": 3,
            },
            name=kind,
            marker_color=KINDS[kind],
            legendgroup=kind,
            showlegend=column == 2,
            row=1,
            col=column,
        )
