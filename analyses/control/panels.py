"""What figures of controllers share: gap closed, success and subgoals reached, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from irl_lens.analyses.control.layer_control import LayerControl
from irl_lens.analyses.core.trial import Outcome
from irl_lens.analyses.figures.intervals import one_legend, with_intervals
from irl_lens.analyses.figures.style import CONTRAST, GREY, MAIN
from irl_lens.analyses.stats.estimates import Estimate


def control_panels(names: Sequence[str], found: Sequence[LayerControl], raw: Outcome) -> go.Figure:
    """Draws three panels of bars, each measure beside that of its control and of the base alone.

    Args:
        names: Names of what is measured, along the horizontal axis.
        found: The measures.
        raw: The base alone on the held-out task.
    """
    titles = ("gap closed", "success, solvable boards", "subgoals reached")
    figure = make_subplots(cols=3, subplot_titles=titles)
    gaps = [x.gap_closed for x in found], [x.random_gap_closed for x in found]
    _panel(figure, 1, names, dict(zip(COLOURS, gaps, strict=False)))
    for column, field in ((2, "success_solvable"), (3, "subgoals")):
        played = [x.outcome for x in found], [x.random for x in found], [raw] * len(found)
        estimates = ([getattr(outcome, field) for outcome in group] for group in played)
        _panel(figure, column, names, dict(zip(COLOURS, estimates, strict=True)))
    figure.update_xaxes(type="category", showgrid=False)
    figure.update_yaxes(rangemode="tozero")
    for column, unit in enumerate(("share", "share of boards", "mean number"), start=1):
        figure.update_yaxes(title=unit, col=column)
    return figure


COLOURS = {"true subgoal": MAIN, "random, same norm": CONTRAST, "base alone": GREY}


def _panel(
    figure: go.Figure, column: int, names: Sequence[str], found: Mapping[str, Sequence[Estimate]]
) -> None:
    for name, estimates in found.items():
        figure.add_bar(
            x=list(names),
            **with_intervals(estimates, thickness=1, width=3),
            marker_color=COLOURS[name],
            **one_legend(name, column == 2),
            row=1,
            col=column,
        )
