"""The atlas as pages, one a controller and an index: frozen HTML that needs no network.

plotly's code is one file beside the pages, so that each of them stays small.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from irl_lens.analyses.atlas.figures import (
    directions,
    endings,
    failed,
    fields,
    occupancy,
    spectrum,
)
from irl_lens.analyses.figures.page import document
from irl_lens.analyses.stats.estimates import Estimate

if TYPE_CHECKING:
    from irl_lens.analyses.atlas.atlas import Atlas, Entry

SCRIPT = "plotly.js"


def pages(atlas: Atlas) -> dict[str, bytes]:
    """Returns ``index.html``, a page a controller, and plotly's code, by file name."""
    links = "".join(
        f'<li><a href="{_file(n)}">{escape(e.name)}</a></li>' for n, e in enumerate(atlas.entries)
    )
    body = f"{_drawn(atlas.figure())}<p>{escape(atlas.caption())}</p><ul>{links}</ul>"
    found = {"index.html": _page(f"Atlas: {atlas.kind}", body)}
    for number, entry in enumerate(atlas.entries):
        found[_file(number)] = _page(f"Controller {entry.name}", _entry(atlas, entry))
    found[SCRIPT] = get_plotlyjs()
    return {name: text.encode() for name, text in found.items()}


def _entry(atlas: Atlas, entry: Entry) -> str:
    ended = entry.behaviour.ending
    parts = [
        f'<p><a href="index.html">all controllers</a></p><p>{escape(_summary(atlas, entry))}</p>',
        *(_drawn(figure(entry)) for figure in (fields, occupancy) if entry.boards),
        "<h2>Subgoal reached first</h2>",
        _hits(atlas, entry),
        "<h2>Dwell time and ending</h2>",
        "<p>No gate ends it.</p>" if ended is None else f"<p>{escape(str(ended))}</p>",
        "" if ended is None else _drawn(endings(entry.name, ended)),
        "<h2>Weights</h2>",
        f"<p>{escape(_weights(entry))}</p>",
        _drawn(spectrum(entry)),
        _drawn(directions(entry)),
        "<h2>Nearest controllers</h2>",
        _table(("controller", "cosine"), [(n, f"{c:.3f}") for n, c in atlas.nearest(entry.name)]),
        "<h2>Failures</h2>",
        _failures(atlas, entry),
    ]
    return "".join(parts)


def _summary(atlas: Atlas, entry: Entry) -> str:
    """Says what the numbers are of before they are given."""
    own, more = atlas.names[entry.own], "more" if entry.differs else "not reliably more"
    found = entry.behaviour
    steered, placebo, alone = (
        way.hits[entry.own].value for way in (found.steered, found.placebo, found.alone)
    )
    return (
        f"Held from the first step on {atlas.rows} boards without a task, it leads to {own} first "
        f"in {steered:.3f} of episodes, {more} often than a random controller of the same "
        f"singular values ({placebo:.3f}, p {found.p:.3f}); without control that is {alone:.3f}. "
        f"This p, and that of the gate, is adjusted for {len(atlas.entries)} controllers (Holm). "
        "On the boards drawn here, first actions are those of an agent that begins at each place; "
        "time is that of agents that all begin where the board has its agent, with other draws."
    )


def _weights(entry: Entry) -> str:
    """Says what stands out among all that was looked at."""
    found = ", ".join(f"{s.side} {s.target} ({s.value:.2f}, p {s.p:.2f})" for s in entry.beyond)
    return (
        f"Of {len(entry.scores)} scores, those beyond random controllers of the same singular "
        f"values: {found or 'none'}. p is one-sided and adjusted for all of them (Westfall and "
        "Young, by the largest score of each random controller)."
    )


def _hits(atlas: Atlas, entry: Entry) -> str:
    ways = (entry.behaviour.steered, entry.behaviour.placebo, entry.behaviour.alone)
    hits = zip(*(way.hits for way in ways), strict=True)
    rows = [(name, *map(_said, each)) for name, each in zip(atlas.names, hits, strict=True)]
    rows.append(("steps until then", *(_said(way.steps) for way in ways)))
    return _table(("subgoal", "controller", "placebo", "no control"), rows)


def _failures(atlas: Atlas, entry: Entry) -> str:
    """A line each, which opens on the board and the path."""
    shown = []
    for failure in entry.behaviour.failures:
        reached = atlas.names[failure.instead] if failure.instead >= 0 else "no subgoal"
        said = f"{reached} after {len(failure.path) - 1} steps"
        drawn = _drawn(failed(failure, said))
        shown.append(
            f"<details><summary>board {failure.board}: {escape(said)}</summary>{drawn}</details>"
        )
    return "".join(shown) or f"<p>None on {atlas.rows} boards.</p>"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    def line(cells: tuple[str, ...], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(c)}</{tag}>" for c in cells) + "</tr>"

    return f"<table>{line(head, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"


def _said(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _drawn(figure: go.Figure) -> str:
    config = {"displaylogo": False, "displayModeBar": False}
    return figure.to_html(full_html=False, include_plotlyjs=False, config=config)


def _page(title: str, body: str) -> str:
    return document(title, body, f'<script src="{SCRIPT}"></script>')


def _file(number: int) -> str:
    return f"controller-{number}.html"
