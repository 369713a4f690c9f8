"""The figures of an atlas on which bodies move: velocities, paths, changes of actions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from irl_lens.analyses.atlas.boards import Board, Motion
from irl_lens.analyses.atlas.entry import Entry
from irl_lens.analyses.figures.board import boards, draw_scene, scene_colours
from irl_lens.analyses.figures.board_traces import needles, threads
from irl_lens.analyses.figures.style import GREY, INK, MAIN, styled
from irl_lens.analyses.rollouts.velocity_field import SIDE, STEPS

CELL = 62
"""Height of a place where three boards stand in a row [px]."""
KINDS = {"alone": "without", "steered": "with the controller", "placebo": "with the placebo"}


def velocities(entry: Entry) -> go.Figure:
    """Draws where agents go that are put down at points, and by how much the controller turns them.

    Arrows are to one scale: the longest is as long as its point is from the next.
    """
    shown = [_motions(board) for board in entry.boards]
    sizes = [np.linalg.norm(x.velocities, axis=1) for each in shown for x in each.values()]
    most = float(np.max([size.max(initial=0) for size in sizes])) or 1.0
    title = (
        f"{entry.name}: mean velocity over the first {STEPS} steps from each point; the longest "
        f"arrow is {most:.3f} places a step"
    )
    figure = boards(entry.boards[0].scene, [*KINDS.values()], title, len(shown), CELL)
    for row, (board, found) in enumerate(zip(entry.boards, shown, strict=True), start=1):
        for column, kind in enumerate(KINDS, start=1):
            draw_scene(figure, board.scene, row, column, agent=False)
            arrows = needles(found[kind].points, found[kind].velocities, 1 / (SIDE * most))
            figure.add_trace(arrows, row, column)
    return figure


def paths(entry: Entry, names: Sequence[str]) -> go.Figure:
    """Draws the paths of some agents, in the colour of the subgoal that each reaches first."""
    shown = [_motions(board) for board in entry.boards]
    title = (
        f"{entry.name}: paths of {len(shown[0]['alone'].trails)} agents until their first subgoal, "
        "black where there is none"
    )
    figure = boards(entry.boards[0].scene, [*KINDS.values()], title, len(shown), CELL)
    for row, (board, found) in enumerate(zip(entry.boards, shown, strict=True), start=1):
        colours = dict(enumerate(scene_colours(board.scene, names))) | {-1: INK}
        for column, kind in enumerate(KINDS, start=1):
            motion = found[kind]
            draw_scene(figure, board.scene, row, column, agent=False)
            for subgoal, colour in colours.items():
                trails = motion.trails[motion.reached == subgoal]
                figure.add_trace(threads(trails, colour), row, column)
    return figure


def changes(entry: Entry) -> go.Figure:
    """Draws by how much the controller and its placebo change each entry of an action."""
    looks = {"steered": ("controller", MAIN), "placebo": ("placebo", GREY)}
    figure = go.Figure()
    for kind, (name, colour) in looks.items():
        found = [_motions(board)[kind].changes for board in entry.boards]
        means = {entry: float(np.mean([x[entry] for x in found])) for entry in found[0]}
        figure.add_bar(x=[*means], y=[*means.values()], marker_color=colour, name=name)
    figure.update_xaxes(title="entry of the action", type="category")
    figure.update_yaxes(title="change of its mean, rms", rangemode="tozero")
    title = f"{entry.name}: what it changes of each action, along a demonstration a board"
    return styled(figure, title, 360)


def _motions(board: Board) -> dict[str, Motion]:
    return {k: v.motion for k, v in board.views.items() if v.motion is not None}
