"""The figure of :mod:`irl_lens.analyses.codes.algebra`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from irl_lens.analyses.figures.style import CONTRAST, GREY, MAIN, PALETTE, styled
from irl_lens.analyses.stats.estimates import Estimate

if TYPE_CHECKING:
    from irl_lens.analyses.codes.algebra import Algebra


def draw(result: Algebra, weights: Sequence[float]) -> go.Figure:
    """Draws mixtures and sums, negations, and norms against what order does.

    Args:
        result: What to draw.
        weights: Of the mixtures.
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
    _mixtures(figure, result, weights)
    _effects(figure, result)
    for column, field in ((1, "stream"), (2, "cells")):
        _order(figure, result, column, field)
    layout = {"legend": {"y": 1.06}, "margin": {"t": 120}}
    return styled(figure, "Algebra of controllers", 760, **layout)


def _mixtures(figure: go.Figure, result: Algebra, weights: Sequence[float]) -> None:
    for i, pair in enumerate(result.pairs):
        for which, dash in ((0, "solid"), (1, "dot")):
            figure.add_scatter(
                x=list(weights),
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


def _effects(figure: go.Figure, result: Algebra) -> None:
    names = [one.name for one in result.singles]
    for name, colour, found in (
        ("base alone", GREY, [one.alone for one in result.singles]),
        ("controller", MAIN, [one.on.patched for one in result.singles]),
        ("negated", CONTRAST, [one.negated.patched for one in result.singles]),
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
    pairs = ["+".join(pair.names) for pair in result.pairs]
    for which, name, colour in ((0, "sum, first", PALETTE[4]), (1, "sum, second", PALETTE[2])):
        found = [pair.added[which] for pair in result.pairs]
        figure.add_bar(
            x=pairs,
            y=[e.value for e in found],
            error_y=_errors(found),
            name=name,
            marker_color=colour,
            row=1,
            col=2,
        )
    figure.update_xaxes(title="subgoals", type="category", row=1, col=2)
    figure.update_yaxes(title="share that reaches it first", range=[0, 1.02], row=1, col=2)


def _order(figure: go.Figure, result: Algebra, column: int, field: str) -> None:
    found = [p.stream if field == "stream" else p.order.shift for p in result.pairs]
    figure.add_scatter(
        x=[pair.commutator for pair in result.pairs],
        y=[e.value for e in found],
        error_y=_errors(found),
        text=["+".join(pair.names) for pair in result.pairs],
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
