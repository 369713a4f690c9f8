"""The figure of an episode: the board on the left, what goes on at the step on the right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from irl_lens.analyses.figures.board import DIVERGING, draw_scene
from irl_lens.analyses.figures.board_traces import disc, path_line, readable
from irl_lens.analyses.figures.style import (
    CONTRAST,
    GREY,
    INK,
    MAIN,
    paler,
    styled,
)
from irl_lens.analyses.rollouts.shown_episode import ShownEpisode
from irl_lens.models.causal import THRESHOLD

MILLISECONDS, LEAST = 400, 100
"""How long a step is shown when the episode is played, and a picture of several steps at least."""
PANELS = {
    "actions": "",
    "gate": "gate",
    "kind": "subgoal asked for, and of the code",
    "code": "code z",
}
"""On the right, from above, with their titles; that of the actions says what they are."""
ROWS = {name: row for row, name in enumerate(PANELS, start=1)}
BY_STEP = ("gate", "kind", "code")
"""Those with a line where the step is."""


def draw(shown: ShownEpisode) -> go.Figure:
    """Draws an episode with buttons and a slider; the first step is shown."""
    figure: Any = make_subplots(
        rows=4,
        cols=2,
        specs=[[{"rowspan": 4}, {}], [None, {}], [None, {}], [None, {}]],
        subplot_titles=("", *(PANELS | {"actions": _next(shown)}).values()),
        column_widths=[0.45, 0.55],
        row_heights=[0.34, 0.26, 0.14, 0.26],
        horizontal_spacing=0.12,
        vertical_spacing=0.09,
    )
    draw_scene(figure, shown.scene, 1, 1, agent=False)
    _gate(figure, shown)
    _kinds(figure, shown)
    _code(figure, shown)
    first = len(figure.data)
    for trace, (row, column) in _moving(shown, 0):
        figure.add_trace(trace, row, column)
    moving = list(range(first, len(figure.data)))
    figure.frames = [
        go.Frame(data=[t for t, _ in _moving(shown, step)], traces=moving, name=str(step))
        for step in shown.frames
    ]
    return _finished(figure, shown)


def _moving(shown: ShownEpisode, step: int) -> list[tuple[Any, tuple[int, int]]]:
    """What is another at each step, with its panel."""
    scene, here = shown.scene, (float(shown.trail[step, 0]), float(shown.trail[step, 1]))
    walked = path_line(scene, shown.trail[: step + 1]).update(showlegend=False)
    cursors = [(_cursor(step, *_span(shown, panel)), (ROWS[panel], 2)) for panel in BY_STEP]
    return [
        (walked, (1, 1)),
        (disc(replace(scene, exact=here)), (1, 1)),
        *((trace, (ROWS["actions"], 2)) for trace in _actions(shown, step)),
        *cursors,
    ]


def _next(shown: ShownEpisode) -> str:
    what = "next action" if shown.deviations is None else "next action (dot) and its mean"
    return f"{what}, beside the base alone in grey"


def _actions(shown: ShownEpisode, step: int) -> Iterator[go.Bar | go.Scatter]:
    """Bars of what the next action is drawn from; of a real one, dots at what was drawn."""
    names, real = shown.labels, shown.deviations is not None
    over = step == len(shown.actions)
    nothing = np.zeros(len(names))
    taken = [real or (not over and a == shown.actions[step]) for a in range(len(names))]
    colours = [MAIN if each else paler(MAIN) for each in taken]
    for name, values, colour in (
        ("with the code", shown.meant, colours),
        ("base alone", shown.alone, GREY),
    ):
        yield go.Bar(x=names, y=nothing if over else values[step], name=name, marker_color=colour)
    if real:
        drawn = nothing if over else shown.actions[step]
        dots = {"mode": "markers", "marker": {"color": INK, "size": 6}, "name": "drawn"}
        yield go.Scatter(x=names, y=drawn, **dots)


def _span(shown: ShownEpisode, panel: str) -> tuple[float, float]:
    latent = shown.codes.shape[1]
    return {"gate": (0, 1), "kind": (-0.5, 1.5), "code": (-0.5, latent - 0.5)}[panel]


def _cursor(step: int, low: float, high: float) -> go.Scatter:
    look = {"mode": "lines", "line": {"color": INK, "width": 2}, "hoverinfo": "skip"}
    return go.Scatter(x=[step, step], y=[low, high], showlegend=False, **look)


def _gate(figure: go.Figure, shown: ShownEpisode) -> None:
    steps, opened = np.arange(len(shown.beta)), np.flatnonzero(shown.switches)
    line = {"color": MAIN, "shape": "hvh"}
    figure.add_scatter(x=steps, y=shown.beta, line=line, name="beta", row=ROWS["gate"], col=2)
    figure.add_scatter(
        x=opened,
        y=shown.beta[opened],
        mode="markers",
        marker={"color": CONTRAST, "size": 8},
        name="opens",
        row=ROWS["gate"],
        col=2,
    )
    dotted = {"color": GREY, "dash": "dot", "width": 1}
    ends = {"x": [0, len(steps) - 1], "y": [THRESHOLD, THRESHOLD], "hoverinfo": "skip"}
    figure.add_scatter(**ends, mode="lines", line=dotted, row=ROWS["gate"], col=2)
    figure.update_yaxes(title="beta", range=[-0.05, 1.1], row=ROWS["gate"], col=2)


def _kinds(figure: go.Figure, shown: ShownEpisode) -> None:
    """Two rows of colours: the subgoal asked for, and the one whose mean code is nearest."""
    colours = shown.palette
    edges = [i / len(colours) for i in range(len(colours) + 1)]
    names = np.array(shown.names, object)
    figure.add_heatmap(
        z=np.stack([shown.alike, shown.subgoals]),
        text=names[np.stack([shown.alike, shown.subgoals])],
        hovertemplate="step %{x}, %{y}: %{text}<extra></extra>",
        colorscale=[[e, c] for i, c in enumerate(colours) for e in edges[i : i + 2]],
        zmin=-0.5,
        zmax=len(colours) - 0.5,
        showscale=False,
        ygap=2,
        row=ROWS["kind"],
        col=2,
    )
    begins = np.flatnonzero(shown.begins)
    for step, subgoal in zip(begins, shown.subgoals[begins], strict=True):
        figure.add_annotation(
            x=int(step),
            y=1,
            text=shown.names[subgoal],
            showarrow=False,
            xanchor="left",
            font={"color": readable(colours[subgoal]), "size": 12},
            row=ROWS["kind"],
            col=2,
        )
    ticks = {"tickvals": [0, 1], "ticktext": ["of the code", "asked for"], "showgrid": False}
    figure.update_yaxes(**ticks, row=ROWS["kind"], col=2)


def _code(figure: go.Figure, shown: ShownEpisode) -> None:
    most = float(np.abs(shown.codes).max()) or 1.0
    figure.add_heatmap(
        z=shown.codes.T,
        colorscale=DIVERGING,
        zmin=-most,
        zmax=most,
        hovertemplate="step %{x}, z%{y}: %{z:.2f}<extra></extra>",
        showscale=False,
        row=ROWS["code"],
        col=2,
    )
    figure.update_yaxes(title="coordinate", showgrid=False, row=ROWS["code"], col=2)
    figure.update_xaxes(title="step", row=ROWS["code"], col=2)


def _finished(figure: go.Figure, shown: ShownEpisode) -> go.Figure:
    figure.update_yaxes(**_scale(shown), row=ROWS["actions"], col=2)
    last = len(shown.path) - 0.5
    for panel in BY_STEP:
        axis = {"range": [-0.5, last], "showgrid": False, "showticklabels": panel == "code"}
        figure.update_xaxes(**axis, row=ROWS[panel], col=2)
    jump = {"frame": {"duration": 0, "redraw": True}, "mode": "immediate"}
    pause = max(MILLISECONDS // shown.stride, min(LEAST, MILLISECONDS))
    run = {"frame": {"duration": pause, "redraw": True}, "fromcurrent": True}
    run |= {"transition": {"duration": 0}}
    buttons = [
        {"label": "play", "method": "animate", "args": [None, run]},
        {"label": "pause", "method": "animate", "args": [[None], jump]},
    ]
    steps = [{"label": str(t), "method": "animate", "args": [[str(t)], jump]} for t in shown.frames]
    menu = {"type": "buttons", "direction": "right", "buttons": buttons, "showactive": False}
    menu |= {"x": 0, "xanchor": "left", "y": -0.1, "yanchor": "top"}
    slider = {"steps": steps, "currentvalue": {"prefix": "step "}, "x": 0.14, "len": 0.86}
    slider |= {"y": -0.06}
    title = f"One episode, played by {shown.player}: {shown.reached} of {len(shown.task)} subgoals"
    layout = {"updatemenus": [menu], "sliders": [slider], "showlegend": False, "barmode": "group"}
    return styled(figure, title, 680, **layout, margin={"t": 70, "b": 110})


def _scale(shown: ShownEpisode) -> dict[str, Any]:
    """The axis of the actions."""
    if shown.deviations is None:
        return {"title": "probability", "range": [0, 1]}
    most = 1.05 * max(float(np.abs(x).max()) for x in (shown.meant, shown.alone, shown.actions))
    return {"title": "value", "range": [-most, most]}
