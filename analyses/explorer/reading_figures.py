"""Pictures of what is read at a step: the next action, beliefs and the gate.

The next action has one bar an action of a list, as high as it is probable; or one bar a number of
a real action, its mean, with a whisker of one deviation either way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from irl_lens.analyses.explorer.figures import NARROW, RUNS
from irl_lens.analyses.explorer.readings import Reading
from irl_lens.analyses.explorer.session import Explorer
from irl_lens.analyses.explorer.steering_shift import NextAction
from irl_lens.analyses.figures.style import CONTRAST, GREY, MAIN, styled
from irl_lens.envs.spaces import ActionSpec, ContinuousActions

BELIEFS = ("belief: probe", "belief: exact Bayes", "gate along the walk")


def readings(session: Explorer) -> go.Figure:
    """Action probabilities, beliefs and gate of every run."""
    read, workbench = session.readings(), session.workbench
    titles = (does(workbench.actions), *BELIEFS)
    apart = 0.4 if isinstance(workbench.actions, ContinuousActions) else 0.32
    figure = make_subplots(2, 2, subplot_titles=titles, vertical_spacing=apart)
    for name, reading in read.items():
        look = {"name": name, "legendgroup": name, "marker_color": RUNS[name]}
        names = workbench.world.subgoal_names
        figure.add_trace(bars(workbench.move_names, reading, **look), 1, 1)
        figure.add_bar(x=names, y=reading.probe, showlegend=False, row=1, col=2, **look)
        if reading.bayes is not None:
            figure.add_bar(x=names, y=reading.bayes, showlegend=False, row=2, col=1, **look)
        if reading.gate is not None:
            line = {"color": RUNS[name], "dash": "solid" if name != "edited" else "dot"}
            y = list(reading.gate)
            figure.add_scatter(
                y=y, line=line, name=name, legendgroup=name, showlegend=False, row=2, col=2
            )
    figure.update_yaxes(range=[0, 1.05], dtick=0.5, title_standoff=2)
    _real(figure, workbench.actions, [*read.values()], 1, 1)
    figure.update_xaxes(title="step", title_standoff=2, row=2, col=2)
    figure.update_annotations(font_size=12)
    _absent(figure, read, session)
    legend = {"y": 1.14, "x": 0.5, "xanchor": "center"}
    margin = {"l": 30, "r": 6, "t": 46, "b": 34}
    high = height(workbench.actions)
    return styled(figure, "", high, margin=margin, legend=legend, bargap=0.25, font_size=11)


def shift(session: Explorer) -> go.Figure:
    """The next action by the base alone and with what steers, at the step looked at."""
    workbench, figure = session.workbench, go.Figure()
    found = session.shift()
    for name, color in (("alone", MAIN), ("steered", CONTRAST)):
        if name in found:
            figure.add_trace(bars(workbench.move_names, found[name], name=name, marker_color=color))
    figure.update_yaxes(range=[0, 1.05], title=does(workbench.actions))
    _real(figure, workbench.actions, [*found.values()])
    return styled(figure, "", 220, margin=NARROW, showlegend=True)


def height(actions: ActionSpec) -> int:
    """How high the picture of readings is [px]: names of numbers are long, and stand upright."""
    return 300 if isinstance(actions, ContinuousActions) else 270


def does(actions: ActionSpec) -> str:
    """What the bars of the next action are called."""
    return "mean action" if isinstance(actions, ContinuousActions) else "what it does"


def bars(names: Sequence[str], read: Reading | NextAction, **look: Any) -> go.Bar:
    """The next action as bars.

    Args:
        names: Of the actions, or of the numbers of one.
        read: The action.
        **look: Further settings of the trace.
    """
    whiskers = {}
    if read.deviations is not None:
        whiskers["error_y"] = {"array": list(read.deviations), "thickness": 1, "width": 2}
    return go.Bar(x=names, y=read.actions, **whiskers, **look)


def _real(
    figure: go.Figure,
    actions: ActionSpec,
    read: Sequence[Reading | NextAction],
    row: int | None = None,
    col: int | None = None,
) -> None:
    """Gives the axis of means room for the limits of real actions, and for all that is drawn."""
    if isinstance(actions, ContinuousActions):
        tops = [
            abs(m) + d for x in read for m, d in zip(x.actions, x.deviations or (), strict=True)
        ]
        most = 1.05 * max(abs(actions.low), abs(actions.high), *tops)
        figure.update_yaxes(range=[-most, most], dtick=None, row=row, col=col)


def _absent(figure: go.Figure, read: Mapping[str, Any], session: Explorer) -> None:
    """Says why a panel is empty."""
    notes = {}
    if all(r.bayes is None for r in read.values()):
        notes[3] = "no training task<br>explains this walk"
    if session.workbench.meta is None:
        early = session.workbench.step is not None
        notes[4] = (
            "the gate was trained<br>on the final base"
            if early
            else ("this run has no<br>metacontroller")
        )
    for panel, text in notes.items():
        # Axes that nothing is drawn on are not there to write on.
        figure.add_scatter(x=[None], y=[None], showlegend=False, row=2, col=panel - 2)
        figure.add_annotation(
            text=text,
            xref=f"x{panel} domain",
            yref=f"y{panel} domain",
            x=0.5,
            y=0.5,
            showarrow=False,
            font_color=GREY,
        )
