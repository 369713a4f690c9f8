"""Methods compared as a figure: curves over episodes, and a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float
from plotly.subplots import make_subplots

from irl_lens.analyses.figures.intervals import one_legend
from irl_lens.analyses.figures.style import CONTRAST, PALE, PALETTE, paler, styled
from irl_lens.arrays import NDArray

if TYPE_CHECKING:
    from irl_lens.analyses.learning.methods import Method

MEASURES = ("success", "subgoals", "switch_rate")
QUARTILES = (0.25, 0.5, 0.75)


def draw(methods: Sequence[Method], subgoals: int) -> go.Figure:
    """Draws three measures, above on linear axes and below on logarithmic ones, and the table.

    Args:
        methods: What is compared.
        subgoals: Abstract subgoals of the task.
    """
    titles = ("success", f"subgoals reached, of {subgoals}", "switches a step")
    lines = len(methods) + 1
    figure = make_subplots(
        3,
        3,
        specs=[[{}, {}, {}], [{}, {}, {}], [{"type": "table", "colspan": 3}, None, None]],
        subplot_titles=titles,
        row_heights=[280, 280, 50 + 28 * lines],
        vertical_spacing=0.11,
    )
    for method, colour in zip(methods, _colours(methods), strict=True):
        for column, measure in enumerate(MEASURES, start=1):
            values = getattr(method, measure)
            if np.isfinite(values).all():
                for row in (1, 2):
                    _band(figure, method, values, colour, row, column)
    least = _least(methods)
    figure.update_xaxes(title="episodes", title_standoff=2, rangemode="tozero", row=1)
    figure.update_xaxes(title="episodes, logarithmic", title_standoff=2, type="log", row=2)
    figure.update_yaxes(rangemode="tozero")
    figure.update_yaxes(range=[-0.02, 1.02], row=1, col=1)
    # On a logarithm there is no 0: it stands at the lower edge.
    bounds = [np.log10(least), 0.05]
    figure.update_yaxes(type="log", range=bounds, row=2, col=1, title="logarithmic, 0 at the edge")
    figure.add_trace(_table(methods), row=3, col=1)
    layout = {"legend": {"y": 1.06}, "margin": {"t": 110 + 18 * len(methods)}}
    height = 850 + 28 * lines
    return styled(figure, "Reinforcement learning on the held-out task", height, **layout)


def quartiles(values: Float[NDArray[np.float64], " seeds"]) -> str:
    """Says the median (and the quartiles) of numbers of episodes, infinite ones as "never"."""
    if len(values) == 1 or np.isinf(values).all():
        return _episodes(float(values[0]))
    # Of what was seen: between a number and never there is nothing.
    low, median, high = np.quantile(values, QUARTILES, method="inverted_cdf").tolist()
    return f"{_episodes(median)} ({_episodes(low)} to {_episodes(high)})"


def _episodes(value: float) -> str:
    return f"{value:,.0f}" if np.isfinite(value) else "never"


def _colours(methods: Sequence[Method]) -> list[str]:
    """Raw-action RL, when there is one such method, has the colour it has everywhere."""
    raw = [method for method in methods if method.stage == "raw-rl"]
    others = iter([c for c in PALETTE if c != CONTRAST] * len(methods))
    return [CONTRAST if raw and method is raw[0] else next(others) for method in methods]


def _least(methods: Sequence[Method]) -> float:
    """Half of what one success in a batch is."""
    return 0.5 / max(float(method.episodes[0]) for method in methods)


def _band(
    figure: go.Figure, method: Method, values: NDArray, colour: str, row: int, column: int
) -> None:
    low, median, high = np.quantile(values, QUARTILES, axis=0)
    if row == 2 and column == 1:
        low, median, high = (np.maximum(x, _least([method])) for x in (low, median, high))
    x, panel = method.episodes, {"row": row, "col": column}
    if len(values) > 1:
        figure.add_scatter(
            x=np.concatenate([x, x[::-1]]),
            y=np.concatenate([high, low[::-1]]),
            fill="toself",
            fillcolor=paler(colour, 0.3),
            line={"width": 0},
            opacity=0.6,
            hoverinfo="skip",
            legendgroup=method.name,
            showlegend=False,
            **panel,
        )
    figure.add_scatter(
        x=x,
        y=median,
        **one_legend(method.name, (row, column) == (1, 1)),
        line={"color": colour},
        **panel,
    )


def _table(methods: Sequence[Method]) -> go.Table:
    header = (
        "method",
        "seeds",
        "episodes each",
        "reach 50 %",
        "episodes to 50 %, median (quartiles)",
        "success, last tenth",
    )
    rows = [
        (
            method.name,
            str(len(method.seeds)),
            _episodes(float(method.episodes[-1])),
            str(int(np.isfinite(method.to_half).sum())),
            quartiles(method.to_half),
            f"{np.median(method.final):.3f}",
        )
        for method in methods
    ]
    return go.Table(
        header={"values": header, "align": "left", "fill_color": PALE, "height": 28},
        cells={
            "values": list(zip(*rows, strict=True)),
            "align": "left",
            "fill_color": "white",
            "line_color": PALE,
            "height": 28,
        },
        columnwidth=[3.2, 0.8, 1.3, 1.1, 3.2, 1.7],
    )
