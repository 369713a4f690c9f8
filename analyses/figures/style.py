"""How every figure looks: one plotly template, colours that colour-blind readers can tell apart.

The colours are those of Okabe and Ito (2008); each subgoal keeps its own in all figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#7F7F7F")
INK, GREY, PALE = "#222222", "#8C8C8C", "#E3E3E3"
MAIN, CONTRAST, FLOOR, CEILING = PALETTE[0], PALETTE[5], INK, PALETTE[2]
"""What is measured, what it is compared with, and the lowest and highest it could be."""

_AXIS = {
    "showgrid": True,
    "gridcolor": PALE,
    "zeroline": False,
    "linecolor": GREY,
    "ticks": "outside",
    "automargin": True,
}
TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": INK},
        "title": {"font": {"size": 16}, "x": 0, "xref": "paper", "yref": "container", "y": 0.97},
        "colorway": PALETTE,
        "plot_bgcolor": "white",
        "paper_bgcolor": "white",
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "legend": {
            "orientation": "h",
            "y": 1.02,
            "yanchor": "bottom",
            "x": 0,
            "itemsizing": "constant",
        },
        "margin": {"l": 60, "r": 20, "t": 90, "b": 50},
        "hoverlabel": {"namelength": -1},
    }
)


def styled(figure: go.Figure, title: str, height: int = 400, **layout: Any) -> go.Figure:
    """Gives a figure the common look.

    Args:
        figure: Changed in place.
        title: What the figure shows.
        height: [px].
        **layout: Further settings of plotly's layout.

    Returns:
        The figure.
    """
    return figure.update_layout(template=TEMPLATE, title_text=title, height=height, **layout)


def subgoal_colours(names: Sequence[str]) -> dict[str, str]:
    """Returns each subgoal's colour; beyond eight subgoals the colours repeat."""
    return {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)}


def paler(colour: str, share: float = 0.45) -> str:
    """Mixes a ``#rrggbb`` colour with white; ``share`` of the colour is left."""
    parts = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(255 - share * (255 - part)):02x}" for part in parts)
