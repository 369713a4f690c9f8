"""Boards on a plotly figure: what lies there, paths over it, where actions lead, time spent.

Every function fills one subplot of a given figure, or the whole of one without subplots, from a
:class:`irl_lens.envs.scenes.Scene`. A board begins with :func:`draw_scene`, or with
:func:`draw_values` for numbers by place; paths and arrows come on top. One unit of either axis
is one place, rows counted downwards, and the first trace is a heat map of all places whose
``customdata`` is the place: so a click on a board tells the place.

Things keep their own colours. Arrows at a place are one per action, as long as the action is
probable: nothing is averaged, so a board with two ways looks like one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from irl_lens.analyses.style import CONTRAST, INK, MAIN, styled
from irl_lens.envs.scenes import Scene, Thing

SEQUENTIAL = [[0.0, "#FFFFFF"], [1.0, MAIN]]
DIVERGING = [[0.0, MAIN], [0.5, "#FFFFFF"], [1.0, CONTRAST]]
FLOOR, FRAME = "#F2F2F2", "#C4C4C4"
LENGTH, BREADTH = 0.47, 0.13
"""Of an arrow of probability 1 and of half its base, in places."""
FAINT = 0.03
"""Probability below which an arrow is left out."""
CELL = 48
"""Size of a place in a figure of :func:`boards` [px]."""

Values = Float[NDArray[np.floating], " places"]
Probabilities = Float[NDArray[np.floating], "places actions"]
Path = Int[NDArray[np.integer], " _"]


def boards(scene: Scene, titles: Sequence[str], title: str, **layout: Any) -> go.Figure:
    """Returns an empty figure with boards side by side, to be drawn in columns 1, 2, ...

    Args:
        scene: Of the size of the boards.
        titles: One a board.
        title: Of the whole figure.
        **layout: Further settings of plotly's layout.
    """
    figure = make_subplots(cols=len(titles), subplot_titles=titles, horizontal_spacing=0.03)
    return styled(figure, title, 110 + CELL * scene.height, **({"showlegend": False} | layout))


def draw_scene(
    figure: go.Figure,
    scene: Scene,
    row: int | None = None,
    col: int | None = None,
    *,
    agent: bool = True,
) -> None:
    """Draws all that lies on a board, and the agent.

    Args:
        figure: Drawn on.
        scene: What to draw.
        row: Of the subplot.
        col: Of the subplot.
        agent: Whether to draw the agent.
    """
    colors = [FLOOR, *dict.fromkeys(thing.color for thing in scene.things)]
    tiles = np.zeros(scene.places)
    for thing in scene.things:
        tiles[thing.place] = colors.index(thing.color)
    steps = [i / len(colors) for i in range(len(colors) + 1)]
    scale = [[s, c] for i, c in enumerate(colors) for s in steps[i : i + 2]]
    limits = {"zmin": -0.5, "zmax": len(colors) - 0.5, "showscale": False}
    figure.add_trace(_heatmap(scene, tiles, "", colorscale=scale, **limits), row, col)
    figure.add_trace(_labels(scene, [_readable(t.color) for t in scene.things]), row, col)
    if agent:
        draw_agent(figure, scene, row, col)
    _square(figure, scene, row, col)


def draw_agent(
    figure: go.Figure, scene: Scene, row: int | None = None, col: int | None = None
) -> None:
    """Draws the agent, as a disc."""
    figure.add_trace(disc(scene), row, col)


def draw_values(
    figure: go.Figure,
    scene: Scene,
    values: Values,
    row: int | None = None,
    col: int | None = None,
    *,
    most: float | None = None,
    signed: bool = False,
    said: str = ".1%",
    scale: bool = False,
) -> None:
    """Draws a number by place, what lies there as frames around it.

    Args:
        figure: Drawn on.
        scene: What to draw.
        values: One a place; NaN is left blank.
        row: Of the subplot.
        col: Of the subplot.
        most: The value of full colour, the largest there is if not given.
        signed: Whether values below 0 have another colour.
        said: How numbers are written, in d3's format.
        scale: Whether to draw the scale, to the right of the figure.
    """
    most = _most([values]) if most is None else most
    look = {
        "colorscale": DIVERGING if signed else SEQUENTIAL,
        "zmin": -most if signed else 0,
        "zmax": most,
        "showscale": scale,
        "colorbar": {"thickness": 10, "tickformat": said, "x": 1.01, "xanchor": "left"},
    }
    figure.add_trace(_heatmap(scene, values, f": %{{z:{said}}}", **look), row, col)
    for thing in scene.things:
        figure.add_shape(_frame(scene, thing), row=row, col=col)
    figure.add_trace(_labels(scene, [INK] * len(scene.things)), row, col)
    _square(figure, scene, row, col)


def draw_field(
    figure: go.Figure,
    scene: Scene,
    probabilities: Probabilities,
    row: int | None = None,
    col: int | None = None,
    *,
    color: str = INK,
) -> None:
    """Draws an arrow for each place and action, as long as the action is probable.

    Args:
        figure: Drawn on; the board is drawn already.
        scene: Of the board; its actions have to be moves.
        probabilities: One row a place. What is NaN or below :data:`FAINT` has no arrow, so of
            a difference of probabilities only what is gained is drawn.
        row: Of the subplot.
        col: Of the subplot.
        color: Of the arrows.

    Raises:
        ValueError: The actions are no moves, or there are not so many places or actions.
    """
    wanted = scene.places, len(scene.moves)
    if not scene.moves or probabilities.shape != wanted:
        raise ValueError(
            f"probabilities of shape {probabilities.shape}; the board has {wanted[0]} places and "
            f"{wanted[1]} actions that are moves: give {list(wanted)}"
        )
    figure.add_trace(arrows(scene, probabilities, color), row, col)


def draw_paths(
    figure: go.Figure,
    scene: Scene,
    paths: Iterable[Path],
    row: int | None = None,
    col: int | None = None,
    *,
    colors: Sequence[str] = (INK,),
    names: Sequence[str] = (),
) -> None:
    """Draws paths side by side, with a ring where each begins and a disc where it ends.

    Args:
        figure: Drawn on; the board is drawn already.
        scene: Of the board.
        paths: Place after each number of steps; -1 is no place.
        row: Of the subplot.
        col: Of the subplot.
        colors: One a path; repeated if there are fewer.
        names: One a path, for the legend; without any there is none.
    """
    paths = [np.asarray(path)[np.asarray(path) >= 0] for path in paths]
    asides = np.linspace(-0.2, 0.2, len(paths)) if len(paths) > 1 else np.zeros(1)
    for i, path in enumerate(paths):
        trace = path_line(scene, path, colors[i % len(colors)], float(asides[i]))
        label = {"name": names[i], "showlegend": True} if names else {"showlegend": False}
        figure.add_trace(trace.update(label), row, col)


def draw_occupancies(
    figure: go.Figure, scene: Scene, before: Values, after: Values, columns: Sequence[int]
) -> None:
    """Draws two numbers by place and what the second has more, in three columns.

    Args:
        figure: Drawn on.
        scene: What to draw.
        before: One a place.
        after: The same.
        columns: Of the three boards.
    """
    most, gap = _most([before, after]), _most([after - before])
    for values, col in zip((before, after), columns, strict=False):
        draw_values(figure, scene, values, 1, col, most=most)
    draw_values(figure, scene, after - before, 1, columns[2], most=gap, signed=True, scale=True)


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


def path_line(scene: Scene, path: Path, color: str = INK, aside: float = 0.0) -> go.Scatter:
    """Returns the trace of one path, moved aside by a share of a place."""
    x, y = scene.xy(path)
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
    x, y = map(int, scene.xy(scene.agent))
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


def _heatmap(scene: Scene, values: Values, said: str, **look: Any) -> go.Heatmap:
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


def _labels(scene: Scene, colors: Sequence[str]) -> go.Scatter:
    """In a corner, where neither the agent nor arrows are."""
    x, y = scene.xy(np.array([thing.place for thing in scene.things], int))
    return go.Scatter(
        x=x - 0.3,
        y=y - 0.27,
        mode="text",
        text=[thing.label for thing in scene.things],
        textfont={"color": list(colors), "size": 13},
        hoverinfo="skip",
        showlegend=False,
    )


def _names(scene: Scene) -> list[str]:
    """What to say of every place."""
    names = [f"row {p // scene.width}, column {p % scene.width}" for p in range(scene.places)]
    for thing in scene.things:
        names[thing.place] += f", {thing.name}"
    return names


def _frame(scene: Scene, thing: Thing) -> dict[str, Any]:
    x, y = map(int, scene.xy(thing.place))
    half = 0.5 if thing.solid else 0.44
    shape = {"type": "rect", "x0": x - half, "x1": x + half, "y0": y - half, "y1": y + half}
    if thing.solid:
        return shape | {"fillcolor": thing.color, "line": {"width": 0}}
    return shape | {"line": {"color": thing.color, "width": 4}}


def _square(figure: go.Figure, scene: Scene, row: int | None, col: int | None) -> None:
    """Makes places square, rows go down, and hides the axes."""
    bare = {"showgrid": False, "showticklabels": False, "ticks": "", "zeroline": False}
    bare |= {"constrain": "domain", "linecolor": FRAME, "mirror": True}
    trace: Any = figure.data[-1]
    figure.update_xaxes(range=[-0.5, scene.width - 0.5], row=row, col=col, **bare)
    down = [scene.height - 0.5, -0.5]
    figure.update_yaxes(range=down, scaleanchor=trace.xaxis or "x", row=row, col=col, **bare)


def _readable(color: str) -> str:
    """Dark or white, whichever is read more easily on a ``#rrggbb`` colour."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else "#FFFFFF"


def _most(values: Sequence[Values]) -> float:
    """The largest size among finite values; what is all zero has a scale too."""
    sizes = np.abs(np.concatenate([np.asarray(v, float) for v in values]))
    return float(np.nanmax(sizes, initial=0)) or 1.0
