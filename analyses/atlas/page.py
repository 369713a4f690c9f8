"""The atlas as pages, one a controller and an index: frozen HTML that needs no network.

plotly's code is one file beside the pages, so that each of them stays small.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from irl_lens.analyses.atlas.atlas import Atlas, Entry
from irl_lens.analyses.atlas.figures import directions, occupancy, spectrum
from irl_lens.analyses.estimates import Estimate
from irl_lens.checkpoint import write_bytes

SCRIPT = "plotly.js"
_STYLE = """body { font: 16px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; }
td, th { text-align: left; padding: .15rem .8rem .15rem 0; }"""


def write_pages(atlas: Atlas, folder: Path | str) -> Path:
    """Writes ``index.html``, a page a controller, and plotly's code.

    Args:
        atlas: What to write.
        folder: Where; made if it is not there.

    Returns:
        The index.
    """
    folder = Path(folder)
    write_bytes(folder / SCRIPT, get_plotlyjs().encode())
    for number, entry in enumerate(atlas.entries):
        write_bytes(folder / _file(number), _entry(atlas, entry).encode())
    links = "".join(
        f'<li><a href="{_file(n)}">{escape(e.name)}</a></li>' for n, e in enumerate(atlas.entries)
    )
    body = f"{_drawn(atlas.figure())}<p>{escape(atlas.caption())}</p><ul>{links}</ul>"
    index = folder / "index.html"
    write_bytes(index, _page("Controller atlas", body).encode())
    return index


def difference(one: Atlas, other: Atlas) -> pd.DataFrame:
    """Holds two runs' atlases against each other.

    Returns:
        One row a controller and number that both have: ``one``, ``other``, ``difference``
        (other less one), and both placebos.
    """
    keys = ["controller", "quantity"]
    frames = (
        a.to_dataframe().rename(columns={"value": name, "placebo": f"placebo_{name}"})
        for a, name in ((one, "one"), (other, "other"))
    )
    merged = pd.merge(*frames, on=keys)
    return merged.assign(difference=merged["other"] - merged["one"])


def _entry(atlas: Atlas, entry: Entry) -> str:
    figures = (occupancy(entry, atlas.size), spectrum(entry), directions(entry))
    parts = [
        '<p><a href="index.html">all controllers</a></p>',
        *(_drawn(figure) for figure in figures),
        "<h2>Subgoal reached first</h2>",
        _hits(atlas, entry),
        "<h2>Nearest controllers</h2>",
        _table(("controller", "cosine"), [(n, f"{c:.3f}") for n, c in atlas.nearest(entry.name)]),
        "<h2>Failures</h2>",
        _failures(atlas, entry),
    ]
    return _page(f"Controller {entry.name}", "".join(parts))


def _hits(atlas: Atlas, entry: Entry) -> str:
    ways = (entry.behaviour.steered, entry.behaviour.placebo, entry.behaviour.alone)
    hits = zip(*(way.hits for way in ways), strict=True)
    rows = [(name, *map(_said, each)) for name, each in zip(atlas.names, hits, strict=True)]
    rows.append(("steps until then", *(_said(way.steps) for way in ways)))
    return _table(("subgoal", "controller", "placebo", "no control"), rows)


def _failures(atlas: Atlas, entry: Entry) -> str:
    found = entry.behaviour
    reached = ("none" if g < 0 else atlas.names[g] for g in found.instead)
    rows = [(str(b), name) for b, name in zip(found.failures, reached, strict=True)]
    if not rows:
        return f"<p>None on {atlas.boards} boards.</p>"
    return _table(("board", "first instead"), rows)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    def line(cells: tuple[str, ...], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(c)}</{tag}>" for c in cells) + "</tr>"

    return f"<table>{line(head, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"


def _said(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _drawn(figure: go.Figure) -> str:
    return figure.to_html(full_html=False, include_plotlyjs=False)


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<style>{_STYLE}</style><script src="{SCRIPT}"></script>'
        f"<body><h1>{escape(title)}</h1>{body}</body></html>"
    )


def _file(number: int) -> str:
    return f"controller-{number}.html"
