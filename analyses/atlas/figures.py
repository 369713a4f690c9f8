"""The figures of an atlas."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float
from plotly.subplots import make_subplots

from irl_lens.analyses.atlas.behaviour import Failure
from irl_lens.analyses.atlas.boards import Board
from irl_lens.analyses.atlas.ending import Ending
from irl_lens.analyses.atlas.entry import Entry
from irl_lens.analyses.figures.board import (
    DIVERGING,
    MORE,
    SEQUENTIAL,
    boards,
    draw_field,
    draw_paths,
    draw_scene,
    draw_values,
)
from irl_lens.analyses.figures.style import GREY, MAIN, styled
from irl_lens.arrays import NDArray

CONDITIONS = {"steered": "controller", "placebo": "placebo", "alone": "no control"}
WEIGHTS = 16
"""Weights shown, those furthest from the placebo."""
CELL = 34
"""Height of a place on boards that stand four in a row [px]."""
REACH = 6
"""Steps from arrival that are shown one by one."""


def overview(
    title: str,
    controllers: list[str],
    subgoals: tuple[str, ...],
    hits: Mapping[str, Float[NDArray[np.floating], "controllers subgoals"]],
    cosines: Float[NDArray[np.floating], "controllers controllers"],
) -> go.Figure:
    """Draws which subgoal comes first, in three conditions, and the controllers' likeness.

    Args:
        title: Title of the figure.
        controllers: Names of the controllers.
        subgoals: Names of the abstract subgoals.
        hits: How often each subgoal comes first under each controller, by condition.
        cosines: Likeness of every two controllers.
    """
    said = (f"first subgoal:<br>{condition}" for condition in CONDITIONS.values())
    titles = (*said, "cosine of controllers")
    figure = make_subplots(cols=4, subplot_titles=titles, shared_yaxes=True)
    for column, condition in enumerate(CONDITIONS, start=1):
        figure.add_trace(matrix(hits[condition], subgoals, controllers), 1, column)
    figure.add_trace(matrix(cosines, controllers, controllers, signed=True), 1, 4)
    figure.update_xaxes(title="reached first", showgrid=False, type="category")
    figure.update_yaxes(autorange="reversed", showgrid=False, type="category")
    figure.update_yaxes(title="controller", col=1)
    figure.update_xaxes(title="controller", col=4)
    return styled(figure, title, 230 + 40 * len(controllers))


def matrix(
    values: Float[NDArray[np.floating], "rows columns"],
    x: tuple[str, ...] | list[str],
    y: list[str],
    signed: bool = False,
) -> go.Heatmap:
    """Returns a table of shares or, with ``signed``, of differences or cosines, as a trace."""
    return go.Heatmap(
        z=values,
        x=x,
        y=y,
        texttemplate="%{z:.2f}",
        colorscale=DIVERGING if signed else SEQUENTIAL,
        zmin=-1 if signed else 0,
        zmax=1,
        showscale=False,
        xgap=1,
        ygap=1,
    )


def occupancy(entry: Entry) -> go.Figure:
    """Draws time by place with and without the controller, and what it and a placebo add."""
    titles = "without", "with the controller", "with − without", "placebo − without"
    title = f"{entry.name}: share of time by place, until a subgoal is reached"
    figure = boards(entry.boards[0].scene, titles, title, len(entry.boards), CELL)
    shares = [{k: v.occupancy for k, v in board.views.items()} for board in entry.boards]
    most = max(float(x[kind].max()) for x in shares for kind in ("alone", "steered"))
    for row, (board, x) in enumerate(zip(entry.boards, shares, strict=True), start=1):
        for column, kind in enumerate(("alone", "steered"), start=1):
            draw_values(figure, board.scene, x[kind], row, column, most=most or 1)
        for column, kind in enumerate(("steered", "placebo"), start=3):
            gap = x[kind] - x["alone"]
            scale = MORE if column == 4 and row == 1 else ""
            look = {"most": most or 1, "signed": True, "scale": scale}
            draw_values(figure, board.scene, gap, row, column, **look)
    return figure


def fields(entry: Entry) -> go.Figure:
    """Draws what an agent that starts at each place does, and what it does more than alone."""
    titles = "without", "with the controller", "more with it", "more with the placebo"
    title = f"{entry.name}: first actions by place; the darker, the more they change"
    figure = boards(entry.boards[0].scene, titles, title, len(entry.boards), CELL)
    for row, board in enumerate(entry.boards, start=1):
        scene, found = board.scene, _actions(board)
        for column, kind in enumerate(("alone", "steered"), start=1):
            draw_scene(figure, scene, row, column, agent=False)
            draw_field(figure, scene, found[kind], row, column)
        for column, kind in enumerate(("steered", "placebo"), start=3):
            gained = found[kind] - found["alone"]
            changed = np.abs(gained).sum(axis=1) / 2
            draw_values(figure, scene, changed, row, column, most=1, said=".2f")
            draw_field(figure, scene, gained, row, column)
    return figure


def _actions(board: Board) -> dict[str, Float[NDArray[np.float32], "places actions"]]:
    return {k: v.actions for k, v in board.views.items() if v.actions is not None}


def failed(failure: Failure, instead: str) -> go.Figure:
    """Draws the board of a failure and the path on it."""
    title = f"board {failure.board}: {instead}"
    figure = boards(failure.scene, [""], title, width=420, margin={"l": 20, "r": 20, "b": 20})
    draw_scene(figure, failure.scene, agent=False)
    draw_paths(figure, failure.scene, [failure.path])
    return figure


def endings(name: str, ended: Ending) -> go.Figure:
    """Draws when the gate opens, counted from arrival."""
    delays = np.clip(ended.delays, -REACH, REACH)
    steps = np.arange(-REACH, REACH + 1)
    counts = np.array([(delays == step).sum() for step in steps])
    labels = [f"{step:+d}" if step else "arrival" for step in steps]
    labels[0], labels[-1] = f"−{REACH} or<br>sooner", f"+{REACH} or<br>later"
    colors = [MAIN if step == 0 else GREY for step in steps]
    figure = go.Figure(go.Bar(x=labels, y=counts, marker_color=colors))
    figure.update_xaxes(title="steps from arrival at the first subgoal", type="category")
    figure.update_yaxes(title="episodes")
    return styled(figure, f"{name}: when the gate opens again", 320)


def spectrum(entry: Entry) -> go.Figure:
    """Draws the singular values."""
    figure = go.Figure().add_scatter(
        x=np.arange(1, 1 + len(entry.values)), y=entry.values, mode="lines+markers"
    )
    figure.update_traces(line_color=MAIN)
    figure.update_xaxes(title="singular value, by size")
    figure.update_yaxes(title="size", rangemode="tozero")
    title = f"{entry.name}: spectrum, effective rank {entry.effective_rank:.1f}"
    return styled(figure, title, 320)


def directions(entry: Entry) -> go.Figure:
    """Draws the scores that differ most from the placebo's."""
    shown = sorted(entry.scores, key=lambda s: abs(s.value - s.placebo))[-WEIGHTS:]
    labels = [f"{s.side} {s.target} (p {s.p:.2f})" for s in shown]
    figure = go.Figure()
    sides = {"controller": [s.value for s in shown], "placebo": [s.placebo for s in shown]}
    for (name, x), color in zip(sides.items(), (MAIN, GREY), strict=True):
        figure.add_bar(x=x, y=labels, orientation="h", name=name, marker_color=color)
    figure.update_xaxes(title="score, 0 to 1", rangemode="tozero")
    height = 180 + 32 * len(shown)
    return styled(figure, f"{entry.name}: what it reads and writes", height)
