"""The traces that boards are drawn with, one function each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int

from irl_lens.analyses.figures.style import INK, PALE
from irl_lens.arrays import NDArray
from irl_lens.envs.scenes import Points, Scene, Thing

FLOOR = "#F2F2F2"
LENGTH, BREADTH = 0.47, 0.13
"""Length of an arrow of probability 1, and half the breadth of its base, in places."""
SLENDER = 0.045
"""Half the breadth of the base of an arrow that is as long as it says, in places."""
FAINT = 0.03
"""Probability below which an arrow is left out."""
SQUARE = np.array([[-0.5, 0.5, 0.5, -0.5, np.nan], [-0.5, -0.5, 0.5, 0.5, np.nan]])
"""Corners of a place, and a gap before the next."""

Values = Float[NDArray[np.floating], " places"]
Probabilities = Float[NDArray[np.floating], "places actions"]
Path = Int[NDArray[np.integer], " _"] | Float[NDArray[np.floating], "_ 2"]
"""Places, or columns and rows."""


def tiles(scene: Scene) -> go.Heatmap:
    """Returns all places in the colors of what lies there."""
    colors = [FLOOR, *dict.fromkeys(thing.color for thing in scene.things)]
    numbers = np.zeros(scene.places)
    for thing in scene.things:
        numbers[thing.place] = colors.index(thing.color)
    steps = [i / len(colors) for i in range(len(colors) + 1)]
    scale = [[s, c] for i, c in enumerate(colors) for s in steps[i : i + 2]]
    limits = {"zmin": -0.5, "zmax": len(colors) - 0.5, "showscale": False}
    return by_place(scene, numbers, colorscale=scale, **limits)


def arrows(scene: Scene, probabilities: Probabilities, color: str = INK) -> go.Scatter:
    """Returns the trace of :func:`draw_field`: one triangle an arrow, for all in one."""
    xs, ys = [], []
    for place, action in np.argwhere(probabilities >= FAINT):
        x, y = map(int, scene.xy(int(place)))
        move, long = scene.moves[action], LENGTH * float(probabilities[place, action])
        aside = BREADTH * -move.dy, BREADTH * move.dx
        xs += [x + aside[0], x + long * move.dx, x - aside[0], x + aside[0], None]
        ys += [y + aside[1], y + long * move.dy, y - aside[1], y + aside[1], None]
    look = {"mode": "lines", "fill": "toself", "fillcolor": color, "hoverinfo": "skip"}
    return go.Scatter(x=xs, y=ys, line_width=0, name="actions", showlegend=False, **look)


def needles(points: Points, vectors: Points, long: float, color: str = INK) -> go.Scatter:
    """Returns an arrow from each point, a narrow triangle; all are one trace.

    Args:
        points: Column and row of each.
        vectors: Where each leads.
        long: Length of a vector of length 1, in places.
        color: Color of the arrows.
    """
    tips, size = points + long * vectors, np.linalg.norm(vectors, axis=1, keepdims=True)
    ahead = np.divide(vectors, size, out=np.zeros(vectors.shape), where=size > 0)
    aside = SLENDER * np.stack([-ahead[:, 1], ahead[:, 0]], axis=1)
    gap = np.full(points.shape, np.nan)
    x, y = np.stack([points + aside, tips, points - aside, points + aside, gap], 1).reshape(-1, 2).T
    look = {"mode": "lines", "fill": "toself", "fillcolor": color, "hoverinfo": "skip"}
    return go.Scatter(x=x, y=y, line_width=0, name="velocity", showlegend=False, **look)


def threads(trails: Float[NDArray[np.floating], "n steps 2"], color: str = INK) -> go.Scatter:
    """Returns many paths as thin lines of one trace, which ends with their ends as dots."""
    known = np.asarray(np.isfinite(trails).all(axis=2))
    lines = [
        np.append(trail[seen], [[np.nan] * 2], axis=0)
        for trail, seen in zip(trails, known, strict=True)
    ]
    joined = np.concatenate([*lines, np.zeros((0, 2))])
    counts = np.array([len(line) - 1 for line in lines], int)
    sizes = np.zeros(len(joined))
    sizes[np.cumsum(counts + 1)[counts > 0] - 2] = 7
    return go.Scatter(
        x=joined[:, 0],
        y=joined[:, 1],
        mode="lines+markers",
        line={"color": color, "width": 1.2},
        marker={"color": color, "size": sizes, "opacity": 1, "line": {"width": 1, "color": PALE}},
        hoverinfo="skip",
        showlegend=False,
    )


def path_line(scene: Scene, path: Path, color: str = INK, aside: float = 0.0) -> go.Scatter:
    """Returns the trace of one path, moved aside by a share of a place."""
    x, y = path.T if path.ndim == 2 else scene.xy(np.asarray(path, np.int64))
    inner = max(len(path) - 2, 0)
    symbols = ["circle-open", *["circle"] * (len(path) - 1)][: len(path)]
    sizes = [13, *[1] * inner, 9][: len(path)]
    edge = {"width": 2, "color": color}
    marker = {"color": color, "symbol": symbols, "size": sizes, "line": edge, "opacity": 1}
    return go.Scatter(
        x=x + aside,
        y=y + aside,
        mode="lines+markers",
        line={"color": color, "width": 3},
        marker=marker,
        customdata=np.arange(len(path)),
        hovertemplate="step %{customdata}<extra></extra>",
    )


def disc(scene: Scene) -> go.Scatter:
    """Returns the trace of the agent: a disc as large as a part of its place."""
    x, y = scene.point
    turn = np.linspace(0, 2 * np.pi, 33)
    return go.Scatter(
        x=x + 0.3 * np.cos(turn),
        y=y + 0.3 * np.sin(turn),
        mode="lines",
        fill="toself",
        fillcolor=INK,
        line={"color": "white", "width": 2},
        hoverinfo="skip",
        name="agent",
        showlegend=False,
    )


def by_place(scene: Scene, values: Values, said: str = "", **look: Any) -> go.Heatmap:
    """Returns a heat map of all places, which says their numbers and what lies there.

    Args:
        scene: What lies on the board.
        values: One a place.
        said: More to say of each, in plotly's hover template.
        **look: Further settings of the trace.
    """
    shape = scene.height, scene.width
    return go.Heatmap(
        z=np.asarray(values, float).reshape(shape),
        customdata=np.arange(scene.places).reshape(shape),
        text=np.array(_names(scene), object).reshape(shape),
        hovertemplate=f"%{{text}}{said}<extra></extra>",
        xgap=1,
        ygap=1,
        **look,
    )


def labels(things: Sequence[Thing], scene: Scene) -> go.Scatter:
    """Returns what is written on things, in a corner, where neither agent nor arrows are."""
    x, y = scene.xy(np.array([thing.place for thing in things], int))
    return go.Scatter(
        x=x - 0.3,
        y=y - 0.27,
        mode="text",
        text=[thing.label for thing in things],
        textfont={"color": [readable(thing.color) for thing in things], "size": 13},
        hoverinfo="skip",
        showlegend=False,
    )


def _names(scene: Scene) -> list[str]:
    """What to say of every place."""
    names = [f"row {p // scene.width}, column {p % scene.width}" for p in range(scene.places)]
    for thing in scene.things:
        names[thing.place] += f", {thing.name}"
    return names


def solid(scene: Scene) -> Iterator[go.Scatter]:
    """Yields filled places where the agent cannot stand, one trace a color."""
    things = [thing for thing in scene.things if thing.solid]
    for color in dict.fromkeys(thing.color for thing in things):
        places = np.array([thing.place for thing in things if thing.color == color])
        x, y = (np.add.outer(v, SQUARE[i]).ravel() for i, v in enumerate(scene.xy(places)))
        look = {"mode": "lines", "fill": "toself", "fillcolor": color, "line_width": 0}
        yield go.Scatter(x=x, y=y, hoverinfo="skip", showlegend=False, **look)


def marks(scene: Scene) -> go.Scatter:
    """Returns labels on their colors, in a corner, of what is not solid."""
    things = [thing for thing in scene.things if not thing.solid]
    marker = {"symbol": "square", "size": 15, "color": [t.color for t in things], "opacity": 1}
    return labels(things, scene).update(mode="markers+text", marker=marker, textfont_size=11)


def readable(color: str) -> str:
    """Dark or white, whichever is read more easily on a ``#rrggbb`` colour."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#FFFFFF"
