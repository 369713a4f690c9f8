"""Boards on a plotly figure: what lies there, paths over it, where actions lead, time spent.

Every function fills one subplot of a given figure, or the whole of one without subplots, from a
:class:`irl_lens.envs.scenes.Scene`. A board begins with :func:`draw_scene`, or with
:func:`draw_values` for numbers by place; paths and arrows come on top. One unit of either axis
is one place, rows counted downwards, and the first trace is a heat map of all places whose
``customdata`` is the place: so a click on a board tells the place.

Things keep their own colours. Arrows at a place are one per action, as long as the action is
probable: nothing is averaged, so a place with two good ways shows both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from irl_lens.analyses.figures.board_traces import (
    Path,
    Probabilities,
    Values,
    arrows,
    by_place,
    disc,
    labels,
    marks,
    path_line,
    solid,
    tiles,
)
from irl_lens.analyses.figures.style import CONTRAST, INK, MAIN, PALE, styled, subgoal_colours
from irl_lens.arrays import NDArray
from irl_lens.envs.scenes import Scene

SEQUENTIAL = [[0.0, "#FFFFFF"], [1.0, "#6A51A3"]]
"""Purple: blue is less in the scale of differences, which stands beside it."""
DIVERGING = [[0.0, MAIN], [0.5, "#FFFFFF"], [1.0, CONTRAST]]
FRAME = "#C4C4C4"
MORE = "more or<br>less time"
"""The scale of differences of time spent."""


def boards(
    scene: Scene, titles: Sequence[str], title: str, rows: int = 1, cell: int = 48, **layout: Any
) -> go.Figure:
    """Returns an empty figure with boards side by side, to be drawn in columns 1, 2, ...

    Args:
        scene: Any of the boards, for their size.
        titles: One a column.
        title: Title of the whole figure.
        rows: Rows of boards.
        cell: Height of a place [px].
        **layout: Further settings of plotly's layout.
    """
    height = 110 + rows * cell * scene.height
    figure = make_subplots(
        rows,
        len(titles),
        subplot_titles=titles,
        horizontal_spacing=0.03,
        vertical_spacing=16 / height,
    )
    own = {"showlegend": False, "plot_bgcolor": PALE}
    return styled(figure, title, height, **(own | layout))


def scene_colours(scene: Scene, names: Sequence[str]) -> tuple[str, ...]:
    """Returns a colour a subgoal: that of the thing of its name, where each is a thing.

    Args:
        scene: What lies on the board.
        names: Names of the subgoals.
    """
    things = {thing.label: thing.color for thing in scene.things}
    own = subgoal_colours(names)
    return tuple((things if set(own) <= set(things) else own)[name] for name in names)


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
        row: Row of the subplot.
        col: Column of the subplot.
        agent: Whether to draw the agent.
    """
    figure.add_trace(tiles(scene), row, col)
    figure.add_trace(labels(scene.things, scene), row, col)
    if agent:
        figure.add_trace(disc(scene), row, col)
    _square(figure, scene, row, col)


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
    scale: str = "",
) -> None:
    """Draws a number by place; what lies there is marked in a corner.

    Args:
        figure: Drawn on.
        scene: What to draw.
        values: One a place; NaN is left blank.
        row: Row of the subplot.
        col: Column of the subplot.
        most: The value of full colour, the largest there is if not given.
        signed: Whether values below 0 have another colour.
        said: How numbers are written, in d3's format.
        scale: What the scale to the right of the figure is called; there is none without.
    """
    most = _most([values]) if most is None else most
    look = {
        "colorscale": DIVERGING if signed else SEQUENTIAL,
        "zmin": -most if signed else 0,
        "zmax": most,
        "showscale": bool(scale),
        "colorbar": {
            "title": scale,
            "thickness": 10,
            "tickformat": said,
            "x": 1.01,
            "xanchor": "left",
        },
    }
    figure.add_trace(by_place(scene, values, f": %{{z:{said}}}", **look), row, col)
    for trace in (*solid(scene), marks(scene)):
        figure.add_trace(trace, row, col)
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
        scene: The board; its actions have to be moves.
        probabilities: One row a place. What is NaN or next to nothing has no arrow, so of a
            difference of probabilities only what is gained is drawn.
        row: Row of the subplot.
        col: Column of the subplot.
        color: Color of the arrows.

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
        scene: The board.
        paths: Place after each number of steps, -1 is no place; or column and row of each, which
            are drawn where they are.
        row: Row of the subplot.
        col: Column of the subplot.
        colors: One a path; repeated if there are fewer.
        names: One a path, for the legend; without any there is none.
    """
    paths = [_known(np.asarray(path)) for path in paths]
    exact = len(paths) < 2 or paths[0].ndim == 2
    asides = np.zeros(len(paths)) if exact else np.linspace(-0.2, 0.2, len(paths))
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
        before: One number a place.
        after: The other number of each place.
        columns: Columns of the three boards.
    """
    most, gap = _most([before, after]), _most([after - before])
    for values, col in zip((before, after), columns, strict=False):
        draw_values(figure, scene, values, 1, col, most=most)
    look: dict[str, Any] = {"most": gap, "signed": True, "scale": MORE}
    draw_values(figure, scene, after - before, 1, columns[2], **look)


def _known(path: NDArray[Any]) -> NDArray[Any]:
    """The part of a path on which the agent is anywhere."""
    return path[np.isfinite(path).all(axis=1) if path.ndim == 2 else path >= 0]


def _square(figure: go.Figure, scene: Scene, row: int | None, col: int | None) -> None:
    """Makes places square, rows go down, and hides the axes."""
    bare = {"showgrid": False, "showticklabels": False, "ticks": "", "zeroline": False}
    bare |= {"constrain": "domain", "linecolor": FRAME, "mirror": True}
    trace: Any = figure.data[-1]
    figure.update_xaxes(range=[-0.5, scene.width - 0.5], row=row, col=col, **bare)
    down = [scene.height - 0.5, -0.5]
    figure.update_yaxes(range=down, scaleanchor=trace.xaxis or "x", row=row, col=col, **bare)


def _most(values: Sequence[Values]) -> float:
    """The largest size among finite values; what is all zero has a scale too."""
    sizes = np.abs(np.concatenate([np.asarray(v, float) for v in values]))
    return float(np.nanmax(sizes, initial=0)) or 1.0
