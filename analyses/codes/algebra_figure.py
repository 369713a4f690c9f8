"""The figure of :mod:`irl_lens.analyses.codes.algebra`."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from irl_lens.analyses.codes.combined_controllers import WEIGHTS, Pair, Single
from irl_lens.analyses.figures.style import CONTRAST, GREY, MAIN, PALETTE, styled
from irl_lens.analyses.stats.estimates import Estimate


def draw(singles: Sequence[Single], pairs: Sequence[Pair]) -> go.Figure:
    """Draws mixtures and sums, negations, and norms against what order does.

    Args:
        singles: One a subgoal that has codes.
        pairs: One for each two of them.
    """
    titles = (
        "mixtures of two codes",
        "one controller, the sum of two",
        "order: stream against commutator",
        "order: cells against commutator",
    )
    figure = make_subplots(
        rows=2, cols=2, subplot_titles=titles, horizontal_spacing=0.12, vertical_spacing=0.2
    )
    _mixtures(figure, pairs)
    _effects(figure, singles, pairs)
    for column, field in ((1, "stream"), (2, "cells")):
        _order(figure, pairs, column, field)
    layout = {"legend": {"y": 1.06}, "margin": {"t": 120}}
    return styled(figure, "Algebra of controllers", 760, **layout)


def _mixtures(figure: go.Figure, pairs: Sequence[Pair]) -> None:
    for i, pair in enumerate(pairs):
        for which, dash in ((0, "solid"), (1, "dot")):
            figure.add_scatter(
                x=list(WEIGHTS),
                y=[rates[which].value for rates in pair.mixed],
                name="+".join(pair.names),
                legendgroup="+".join(pair.names),
                showlegend=which == 0,
                line={"color": PALETTE[i % len(PALETTE)], "dash": dash},
                row=1,
                col=1,
            )
    figure.update_xaxes(title="weight of the second code", row=1, col=1)
    title = "first (solid), second (dotted)"
    figure.update_yaxes(title=title, range=[-0.02, 1.02], row=1, col=1)


def _effects(figure: go.Figure, singles: Sequence[Single], pairs: Sequence[Pair]) -> None:
    names = [one.name for one in singles]
    for name, colour, found in (
        ("base alone", GREY, [one.alone for one in singles]),
        ("controller", MAIN, [one.on.patched for one in singles]),
        ("negated", CONTRAST, [one.negated.patched for one in singles]),
    ):
        figure.add_bar(
            x=names,
            y=[e.value for e in found],
            error_y=_errors(found),
            name=name,
            marker_color=colour,
            row=1,
            col=2,
        )
    names = ["+".join(pair.names) for pair in pairs]
    for which, name, colour in ((0, "sum, first", PALETTE[4]), (1, "sum, second", PALETTE[2])):
        found = [pair.added[which] for pair in pairs]
        figure.add_bar(
            x=names,
            y=[e.value for e in found],
            error_y=_errors(found),
            name=name,
            marker_color=colour,
            row=1,
            col=2,
        )
    figure.update_xaxes(title="subgoals", type="category", row=1, col=2)
    figure.update_yaxes(title="share that reaches it first", range=[0, 1.02], row=1, col=2)


def _order(figure: go.Figure, pairs: Sequence[Pair], column: int, field: str) -> None:
    found = [p.stream if field == "stream" else p.order.shift for p in pairs]
    figure.add_scatter(
        x=[pair.commutator for pair in pairs],
        y=[e.value for e in found],
        error_y=_errors(found),
        text=["+".join(pair.names) for pair in pairs],
        textposition="top center",
        mode="markers+text",
        marker={"color": MAIN, "size": 8},
        showlegend=False,
        row=2,
        col=column,
    )
    title = {"stream": "|difference of orders| / |e|", "cells": "total variation of cells"}[field]
    figure.update_xaxes(title="commutator norm, share of its bound", row=2, col=column)
    figure.update_yaxes(title=title, row=2, col=column)


def _errors(found: Sequence[Estimate]) -> dict:
    return {
        "array": [e.high - e.value for e in found],
        "arrayminus": [e.value - e.low for e in found],
        "thickness": 1,
        "width": 3,
    }
