"""What stands where on the page. It knows nothing but names; callbacks fill it."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from urllib.parse import quote

from dash import dcc, html

from irl_lens.analyses.explorer.reading_figures import height
from irl_lens.analyses.explorer.session import Explorer
from irl_lens.analyses.explorer.web import panels
from irl_lens.analyses.explorer.web.export_panel import export
from irl_lens.analyses.explorer.web.fields import number, slider
from irl_lens.analyses.explorer.web.fork_panel import fork
from irl_lens.analyses.explorer.web.hint import hint
from irl_lens.analyses.explorer.web.tabs import tabs

GRAPH: Any = {"displayModeBar": False, "responsive": True}


def page(session: Explorer, key: str, runs: dict[str, str], now: str) -> html.Div:
    """The whole page of one session.

    Args:
        session: The session, whose sizes lists and sliders have.
        key: Key of the session.
        runs: What can be switched to, name to show by name.
        now: The run that is open.
    """
    stores = {"key": key, "tick": 0, "finished": 0, "picked": None, "asked": 0, "before": "patch"}
    stores |= {"link": None, "arrived": None}
    return html.Div(
        [
            *(dcc.Store(id=name, data=value) for name, value in stores.items()),
            dcc.Interval(id="poll", interval=250, disabled=True),
            dcc.Interval(id="playing", interval=450, disabled=True),
            dcc.Download(id="download"),
            _header(session, runs, now),
            hint(),
            html.Main([_left(session), _right(session)]),
        ]
    )


def refused(why: Exception, runs: dict[str, str], now: str) -> html.Div:
    """The page of a run that cannot be opened: why, and where to go from there.

    Args:
        why: What was raised, with what mends it.
        runs: What can be switched to, name to show by name.
        now: The run.
    """
    said = html.P(str(why), id="message", role="alert")
    return html.Div(
        [
            dcc.Store(id="asked", data=0),
            html.Header([*_switch(runs, now), _watch(now)]),
            html.Main([html.H2(f"{runs[now]} cannot be opened"), said], style={"display": "block"}),
        ]
    )


def graph(name: str, height: int | str, said: str) -> html.Div:
    """A picture, with what it shows said to screen readers."""
    hidden = {"visible": False}
    bare = {"layout": {"xaxis": hidden, "yaxis": hidden}}
    size = height if isinstance(height, str) else f"{height}px"
    picture = dcc.Graph(id=name, figure=bare, config=GRAPH, style={"height": size})
    about: dict[str, Any] = {"aria-label": said}
    return html.Div([html.Span(said, className="sr"), picture], role="img", **about)


def _header(session: Explorer, runs: dict[str, str], now: str) -> html.Header:
    return html.Header(
        [
            *_switch(runs, now),
            html.A("atlas", id="atlas", href=f"atlas?run={quote(now)}", target="_blank"),
            _watch(now),
            _training(session),
            html.Div(id="message", role="status"),
            html.Button("Undo", id="undo", disabled=True),
        ]
    )


def _watch(now: str) -> html.A:
    """The way to how far the training of a run has come."""
    return html.A("training log", id="watch", href=f"watch?run={quote(now)}", target="_blank")


def _switch(runs: dict[str, str], now: str) -> list[Any]:
    """The title, and what goes to another run."""
    listed = [{"label": label, "value": name} for name, label in runs.items()]
    return [
        html.H1("irl-lens explorer"),
        html.Label("run", htmlFor="run"),
        dcc.Dropdown(listed, now, id="run", clearable=False, className="pick"),
    ]


def _training(session: Explorer) -> html.Div:
    """Training time: which weights the base has."""
    kept = len(session.workbench.checkpoints)
    shown = {"width": "150px", "marginTop": "12px"} if kept else {"display": "none"}
    time = slider("checkpoint", "training", 0, kept or 1, kept, allow_direct_input=False)
    return html.Div(
        [
            html.Label("training", htmlFor="checkpoint"),
            html.Div(time, style=shown),
            html.Span(id="trained", role="status"),
        ],
        className="row",
        title="How far the base is trained. Probes are fitted anew at each checkpoint; "
        "controllers, gate and codes belong to the final base, and are off before.",
    )


def _left(session: Explorer) -> html.Div:
    return html.Div(
        [
            html.Div(
                [
                    html.Div([html.H2("Clean world"), graph("clean", 206, "the clean board")]),
                    html.Div([html.H2("Edited world"), graph("edited", 206, "the edited board")]),
                ],
                className="worlds",
            ),
            html.P([html.Span(id="pair"), " ", html.Span(id="hand")], className="hint"),
            html.Div(
                [
                    html.Div(slider("step", "step of the walk", 0, 1, 0), className="wide"),
                    html.Span(id="at", className="middle"),
                    html.Button("◀", id="back", title="one step back"),
                    html.Button("Play", id="play"),
                    html.Button("▶", id="on", title="one step on"),
                ],
                className="row",
            ),
            *_world(session),
            graph(
                "readings", height(session.workbench.actions), "the next action, beliefs and gate"
            ),
            html.P(id="moved", className="hint"),
            html.Details(
                [
                    html.Summary("Another episode or task; edit without a mouse"),
                    _put(session),
                    *panels.episode(session),
                ]
            ),
        ]
    )


def _world(session: Explorer) -> list[html.Details]:
    """What is to be done, in words and a picture, where the world says it."""
    known = session.workbench.explanation
    if known is None:
        return []
    text, drawn = known.text, b64encode(known.picture.encode()).decode()
    picture = html.Img(src=f"data:image/svg+xml;base64,{drawn}", alt="one demonstration")
    inside = [html.P(text), picture] if drawn else [html.P(text)]
    return [html.Details([html.Summary("The world: what is to be done"), *inside], id="world")]


def _put(session: Explorer) -> html.Div:
    situation = session.workbench.situation(session.state.clean)
    names = situation.names
    return html.Div(
        [
            html.Label("put", htmlFor="thing"),
            dcc.Dropdown(list(names), names[0], id="thing", clearable=False, className="pick"),
            html.Label("at place", htmlFor="place"),
            number("place", 0),
            html.Button("Put", id="put"),
            html.Button("Same as clean", id="mend"),
        ],
        className="row",
    )


def _right(session: Explorer) -> html.Div:
    panels_of = {
        "patch": panels.patch(session, graph),
        "steer": panels.steer(session, graph),
        "fork": fork(session, graph),
        "keep": export(),
    }
    work = html.Div(
        [
            html.Span(id="work", role="status"),
            html.Button("Stop", id="stop", style={"display": "none"}),
        ],
        className="row",
        style={"minHeight": "30px"},
    )
    return html.Div([tabs(panels_of), work])
