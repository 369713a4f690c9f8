"""Every picture of the explorer, from a session's state and what was computed from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from irl_lens.analyses.explorer.outing import Outing
from irl_lens.analyses.explorer.patching import Sweep, active
from irl_lens.analyses.explorer.session import Explorer
from irl_lens.analyses.figures.board import (
    MORE,
    draw_field,
    draw_occupancies,
    draw_paths,
    draw_scene,
    draw_values,
)
from irl_lens.analyses.figures.board_traces import Path
from irl_lens.analyses.figures.style import CONTRAST, GREY, INK, MAIN, PALE, PALETTE, styled
from irl_lens.analyses.patching.contrast import BY_HEAD
from irl_lens.analyses.patching.grid import colour_axis
from irl_lens.envs.scenes import AGENT, Scene

RUNS = {"clean": PALETTE[2], "edited": MAIN, "patched": CONTRAST}
"""Colour of each run, in every picture."""
NARROW: dict[str, Any] = {"l": 44, "r": 10, "t": 30, "b": 36}
SHOWN = 12
"""Paths drawn on one board."""


def world(session: Explorer, side: str, picked: str | None = None) -> go.Figure:
    """One board at the step looked at, with the walk so far."""
    state, figure = session.state, go.Figure()
    plain = state.clean if side == "clean" else state.edited
    scene = _at_step(session, plain)
    draw_scene(figure, scene)
    if state.step:
        draw_paths(figure, scene, [walked(session)], colors=(GREY,))
    # Clicks are meant for the places below, not for what is drawn over them.
    figure.update_traces(hoverinfo="skip", hovertemplate=None, selector={"type": "scatter"})
    held = [thing.place for thing in scene.things if thing.name == picked]
    for place in [scene.agent] if picked == AGENT else held:
        _frame(figure, scene, place)
    _marked_changes(figure, session, scene, side)
    margin = {"l": 2, "r": 2, "t": 2, "b": 2}
    return styled(figure, "", 206, showlegend=False, margin=margin)


def heat_map(session: Explorer, sweep: Sweep) -> go.Figure:
    """What each cell would do, those in force outlined."""
    state, shares = session.state, sweep.shares
    if np.isnan(shares).all():
        return nothing("Both boards give the same here: move something on the edited one.")
    steps = list(range(sweep.since, state.step + 1))
    figure = go.Figure(
        go.Heatmap(
            x=steps,
            y=list(sweep.sites),
            z=shares,
            coloraxis="coloraxis",
            xgap=1,
            ygap=1,
            hovertemplate="%{y}, step %{x}: %{z:.3f} of the edit's effect undone<extra></extra>",
        )
    )
    for spot in active(state):
        if spot.component == state.component:
            for site in _rows_of(session, spot.layer, spot.head, spot.by_head):
                for step in set(spot.steps(state.step)) & set(steps):
                    _outline(figure, step, site, 0.5)
    figure.update_xaxes(title="step", showgrid=False, dtick=_spacing(len(steps)))
    figure.update_yaxes(
        title="head" if state.component in BY_HEAD else "layer",
        autorange="reversed",
        tickvals=list(sweep.sites),  # each of them: plotly leaves out every other one
    )
    height = 50 + max(100, 15 * len(sweep.sites))
    margin = NARROW | {"t": 6, "b": 36, "l": 56}
    scale = colour_axis([shares], "share of the<br>edit undone", thickness=12, nticks=3)
    return styled(figure, "", height, margin=margin, plot_bgcolor=PALE, coloraxis=scale)


def nothing(said: str) -> go.Figure:
    """A picture of nothing, with what it would take, or what it waits for."""
    figure = go.Figure().update_xaxes(visible=False).update_yaxes(visible=False)
    figure.add_annotation(
        text=said, x=0.5, y=0.5, xref="paper", yref="paper", showarrow=False, font_color=GREY
    )
    return styled(figure, "", 150, margin=NARROW, plot_bgcolor="white")


def effects(session: Explorer, look: str, before: Outing | None, after: Outing | None) -> go.Figure:
    """Before, after and difference on the edited board.

    Args:
        session: The session.
        look: ``"arrows"``, ``"paths"`` or ``"time"``; where actions are no moves, there are no
            arrows on the boards.
        before: Roll-outs without patches, for the last two.
        after: The same with them.
    """
    scene = scene_of(session)
    titles = ("before", "after", "difference")
    if look == "arrows" or before is None or after is None:
        figure = boards(scene, titles)
        if not session.workbench.walkable:
            for column in (1, 2, 3):
                draw_scene(figure, scene, 1, column)
            return figure
        fields = session.fields()
        for column, (field, color) in enumerate(
            ((fields.before, INK), (fields.after, INK), (fields.after - fields.before, CONTRAST)), 1
        ):
            draw_scene(figure, scene, 1, column)
            draw_field(figure, scene, field, 1, column, color=color)
        lost = fields.before - fields.after
        draw_field(figure, scene, lost, 1, 3, color=MAIN)
        return figure
    return outings(scene, look, before, after, not session.workbench.walkable)


def outings(
    scene: Scene, look: str, before: Outing, after: Outing, exact: bool = False
) -> go.Figure:
    """Roll-outs before, after, and both (paths) or the difference (time).

    Args:
        scene: The board.
        look: ``"paths"`` or ``"time"``.
        before: Roll-outs without what acts.
        after: The same with it.
        exact: Draw paths exactly where the agents were.
    """
    if look == "time":
        figure = boards(scene, ("time spent before", "after", "difference"))
        draw_occupancies(figure, scene, before.occupancy, after.occupancy, (1, 2, 3))
        return figure
    figure = boards(scene, ("before", "after", "difference in time spent"))
    for column, (out, color) in enumerate(((before, MAIN), (after, CONTRAST)), 1):
        draw_scene(figure, scene, 1, column)
        rows = out.trail if exact else out.path
        paths = [row[out.since :] for row in rows[:SHOWN]]
        draw_paths(figure, scene, paths, 1, column, colors=(color,))
    gap = after.occupancy - before.occupancy
    draw_values(figure, scene, gap, 1, 3, signed=True, scale=MORE)
    return figure


def boards(scene: Scene, titles: Sequence[str]) -> go.Figure:
    """An empty figure with boards side by side."""
    figure = make_subplots(cols=len(titles), subplot_titles=titles, horizontal_spacing=0.02)
    figure.update_annotations(font_size=13)
    margin = {"l": 4, "r": 40, "t": 26, "b": 4}
    styled(figure, "", 262, showlegend=False, margin=margin)
    # As high as the page has room for.
    return figure.update_layout(height=None, autosize=True)


def first_bars(scene: Scene, before: Outing, after: Outing) -> go.Figure:
    """What agents come upon first, before and after."""
    figure = go.Figure()
    for name, out, color in (("before", before, MAIN), ("after", after, CONTRAST)):
        found = out.first(scene)
        figure.add_bar(x=list(found), y=list(found.values()), name=name, marker_color=color)
    figure.update_xaxes(title="come upon first", type="category")
    figure.update_yaxes(title="share of roll-outs", range=[0, 1.02])
    return styled(figure, "", 220, margin=NARROW | {"b": 46})


def latent(session: Explorer, points: np.ndarray, labels: np.ndarray, now: Any) -> go.Figure:
    """Codes of demonstrations on two axes; a click takes one."""
    names, figure = session.workbench.world.subgoal_names, go.Figure()
    symbols = ("circle", "square", "diamond", "cross", "x", "triangle-up", "star", "hexagon")
    for g, name in enumerate(names):
        index = np.flatnonzero(labels == g)
        figure.add_scatter(
            x=points[index, 0],
            y=points[index, 1],
            customdata=index.tolist(),  # packed arrays do not come back with clicks
            mode="markers",
            name=name,
            marker={
                "color": PALETTE[g % len(PALETTE)],
                "symbol": symbols[g % len(symbols)],
                "size": 6,
                "opacity": 0.7,
            },
            hovertemplate=f"code of {name}<extra></extra>",
        )
    if now is not None:
        cross = {"symbol": "cross-thin", "size": 18, "line": {"width": 3, "color": INK}}
        figure.add_scatter(
            x=[now[0]], y=[now[1]], mode="markers", name="z", marker=cross, hoverinfo="skip"
        )
    figure.update_xaxes(title="principal axis 1")
    figure.update_yaxes(title="principal axis 2")
    return styled(figure, "", 290, margin=NARROW)


def scene_of(session: Explorer, side: str = "edited") -> Scene:
    """What a board looks like at the step looked at."""
    state = session.state
    return _at_step(session, state.edited if side == "edited" else state.clean)


def walked(session: Explorer) -> Path:
    """The walk up to the step looked at: places, or points where the agent may be anywhere."""
    state = session.state
    until = slice(state.step + 1)
    exact = not session.workbench.walkable
    return session.trail()[until] if exact else np.array(state.walk[until])


def _at_step(session: Explorer, plain: dict[str, Any]) -> Scene:
    state = session.state
    scene = session.workbench.situation(plain).scene(state.walk[state.step])
    if session.workbench.walkable:
        return scene
    column, row = session.trail()[state.step].tolist()
    return replace(scene, exact=(column, row))


def _marked_changes(figure: go.Figure, session: Explorer, scene: Scene, side: str) -> None:
    """Dashes round what lies elsewhere on the other board."""
    state = session.state
    other = session.workbench.situation(state.clean if side == "edited" else state.edited).scene()
    there = {thing.name: thing.place for thing in other.things}
    for thing in scene.things:
        if there.get(thing.name) != thing.place:
            _frame(figure, scene, thing.place, 0.44, "dot")


def _rows_of(session: Explorer, layer: int, head: int | None, by_head: bool) -> list[int]:
    """Rows of the heat map that a patch is in."""
    if not by_head:
        return [layer - 1]
    heads = session.workbench.heads
    return [(layer - 1) * heads + h for h in ([head] if head is not None else range(heads))]


def _frame(
    figure: go.Figure, scene: Scene, place: int, half: float = 0.5, dash: str = "solid"
) -> None:
    x, y = scene.xy(place)
    _outline(figure, float(x), float(y), half, dash)


def _outline(figure: go.Figure, x: float, y: float, half: float, dash: str = "solid") -> None:
    figure.add_shape(
        type="rect",
        x0=x - half,
        x1=x + half,
        y0=y - half,
        y1=y + half,
        line={"color": INK, "width": 2.5, "dash": dash},
    )


def _spacing(n: int) -> int:
    return max(1, n // 15)
