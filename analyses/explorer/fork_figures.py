"""Pictures of futures: the tree of them, and some on the board."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from irl_lens.analyses.explorer import figures, forks
from irl_lens.analyses.explorer.session import Explorer
from irl_lens.analyses.explorer.state import Branch
from irl_lens.analyses.figures.board import draw_paths, draw_scene
from irl_lens.analyses.figures.board_traces import Path
from irl_lens.analyses.figures.style import GREY, INK, PALETTE, styled


def tree(session: Explorer) -> go.Figure:
    """The walk and its branches, each from where it left to where it ended."""
    state, figure = session.state, go.Figure()
    _limb(figure, 0, len(state.walk) - 1, 0, "walk", GREY)
    rows = {None: 0} | {b.number: i for i, b in enumerate(state.branches, 1)}
    names, said = session.workbench.world.subgoal_names, ["walk"]
    for found in state.branches:
        y, color = rows[found.number], PALETTE[(found.number - 1) % len(PALETTE)]
        figure.add_scatter(
            x=[found.fork, found.fork],
            y=[rows[found.parent], y],
            mode="lines",
            line={"color": GREY, "dash": "dot"},
            hoverinfo="skip",
        )
        said.append(f"branch {found.number}: {forks.reached(found, names)}")
        _limb(figure, found.fork, len(found.path) - 1, y, f"branch {found.number}", color)
    figure.add_vline(x=state.step, line={"color": INK, "width": 1, "dash": "dash"})
    figure.update_xaxes(title="step")
    # Labels of an axis get the room that they need; text beside the lines is cut.
    figure.update_yaxes(autorange="reversed", tickvals=[*range(len(said))], ticktext=said)
    figure.update_yaxes(automargin=True, ticks="", showgrid=False)
    height = 110 + 26 * len(said)
    margin = figures.NARROW | {"t": 10}
    return styled(figure, "", height, showlegend=False, margin=margin)


def compared(session: Explorer, numbers: Sequence[int], step: int) -> go.Figure:
    """Branches on the board, as far as a step: before its fork, where a branch is on the walk."""
    chosen = [b for b in session.state.branches if b.number in numbers]
    side = chosen[0].side if chosen else session.state.side
    scene = figures.scene_of(session, side)
    figure = figures.boards(scene, (f"the {side} board, up to step {step}",))
    draw_scene(figure, scene, 1, 1, agent=not chosen)
    paths = [_path(session, b)[min(b.fork, step) : step + 1] for b in chosen]
    colors = [PALETTE[(b.number - 1) % len(PALETTE)] for b in chosen]
    names = [f"branch {b.number}" for b in chosen]
    if paths:
        draw_paths(figure, scene, paths, 1, 1, colors=colors, names=names)
    return figure.update_layout(showlegend=True, margin={"l": 4, "r": 4, "t": 50, "b": 4})


def _path(session: Explorer, branch: Branch) -> Path:
    """Places of a branch, or points where the agent may be anywhere."""
    if session.workbench.walkable:
        return np.array(branch.path)
    plain = session.state.edited if branch.side == "edited" else session.state.clean
    return session.workbench.trail(plain, branch.path, branch.actions)


def _limb(figure: go.Figure, start: int, stop: int, y: int, name: str, color: str) -> None:
    figure.add_scatter(
        x=[start, stop],
        y=[y, y],
        mode="lines+markers",
        line={"color": color, "width": 4},
        marker={"size": 9, "color": color},
        hovertemplate=f"{name}, step %{{x}}<extra></extra>",
    )
