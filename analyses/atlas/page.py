"""The atlas as pages, one a controller and an index: frozen HTML that needs no network.

plotly's code is one file beside the pages, so that each of them stays small.
"""

from __future__ import annotations

from collections.abc import Iterator

import plotly.graph_objects as go
from markupsafe import Markup

from irl_lens.analyses.atlas.entry import Entry
from irl_lens.analyses.atlas.figures import (
    directions,
    endings,
    failed,
    fields,
    occupancy,
    spectrum,
)
from irl_lens.analyses.atlas.motion_figures import changes, paths, velocities
from irl_lens.analyses.figures.page import drawn, page
from irl_lens.analyses.rollouts.velocity_field import TURNS
from irl_lens.analyses.stats.estimates import Estimate

SCRIPT = "plotly.js"


def index_page(kind: str, figure: go.Figure, caption: str, names: list[str]) -> str:
    """Returns the page that leads to all others.

    Args:
        kind: What the controllers are of.
        figure: All controllers in one figure.
        caption: What it shows.
        names: Names of the controllers, in the order of their pages.
    """
    return page(
        "atlas",
        title=f"Atlas: {kind}",
        script=SCRIPT,
        figure=_drawn(figure),
        caption=caption,
        controllers=[(controller_file(number), name) for number, name in enumerate(names)],
    )


def controller_page(
    entry: Entry,
    names: tuple[str, ...],
    boards: int,
    controllers: int,
    nearest: list[tuple[str, float]],
) -> str:
    """Returns the page of one controller.

    Args:
        entry: The controller.
        names: Names of all abstract subgoals.
        boards: How many boards agents roamed on.
        controllers: How many controllers the atlas has.
        nearest: The others with their cosines, nearest first.
    """
    ended = entry.behaviour.ending
    return page(
        "atlas_controller",
        title=f"Controller {entry.name}",
        script=SCRIPT,
        summary=_summary(entry, names, boards, controllers),
        boards=[_drawn(figure) for figure in _boards(entry, names)],
        first_subgoals=_first_subgoals(entry, names),
        ending=None if ended is None else str(ended),
        ending_figure=None if ended is None else _drawn(endings(entry.name, ended)),
        weights=_weights(entry),
        spectrum=_drawn(spectrum(entry)),
        directions=_drawn(directions(entry)),
        nearest=[(name, f"{cosine:.3f}") for name, cosine in nearest],
        failures=_failures(entry, names),
        rows=boards,
    )


def _boards(entry: Entry, names: tuple[str, ...]) -> Iterator[go.Figure]:
    """What is drawn of boards, as far as the world lends itself to it."""
    views = entry.boards[0].views["steered"] if entry.boards else None
    if views is None:
        return
    if views.actions is not None:
        yield fields(entry)
    if views.motion is not None:
        yield from (velocities(entry), paths(entry, names), changes(entry))
    yield occupancy(entry)


def controller_file(number: int) -> str:
    """Returns the file of a controller's page."""
    return f"controller-{number}.html"


def _summary(entry: Entry, names: tuple[str, ...], boards: int, controllers: int) -> str:
    """Says what the numbers are of before they are given."""
    own, more = names[entry.own], "more" if entry.differs else "not reliably more"
    found = entry.behaviour
    steered, placebo, alone = (
        way.hits[entry.own].value for way in (found.steered, found.placebo, found.alone)
    )
    return (
        f"Held from the first step on {boards} boards without a task, it leads to {own} first "
        f"in {steered:.3f} of episodes, {more} often than a random controller of the same "
        f"singular values ({placebo:.3f}, p {found.p:.3f}); without control that is {alone:.3f}. "
        f"This p, and that of the gate, is adjusted for {controllers} controllers (Holm). "
        f"On the boards drawn here, {_drawn_of(entry)}time is that of agents that all begin where "
        "the board has its agent, with other draws."
    )


def _drawn_of(entry: Entry) -> str:
    """Says what else is drawn of boards."""
    if any(board.views["steered"].motion for board in entry.boards):
        return (
            f"velocities are those of agents that are put down at rest at each point, turned any "
            f"of {TURNS} ways, a mean over these; paths and "
        )
    return "first actions are those of an agent that begins at each place; "


def _weights(entry: Entry) -> str:
    """Says what stands out among all that was looked at."""
    found = ", ".join(f"{s.side} {s.target} ({s.value:.2f}, p {s.p:.2f})" for s in entry.beyond)
    return (
        f"Of {len(entry.scores)} scores, those beyond random controllers of the same singular "
        f"values: {found or 'none'}. p is one-sided and adjusted for all of them (Westfall and "
        "Young, by the largest score of each random controller)."
    )


def _first_subgoals(entry: Entry, names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """How often each subgoal comes first, and after how many steps, in three conditions."""
    ways = (entry.behaviour.steered, entry.behaviour.placebo, entry.behaviour.alone)
    hits = zip(*(way.hits for way in ways), strict=True)
    rows = [(name, *map(_said, each)) for name, each in zip(names, hits, strict=True)]
    return [*rows, ("steps until then", *(_said(way.steps) for way in ways))]


def _failures(entry: Entry, names: tuple[str, ...]) -> list[tuple[str, Markup]]:
    """A line for each, and the board and the path that it opens on."""
    found = []
    for failure in entry.behaviour.failures:
        reached = names[failure.instead] if failure.instead >= 0 else "no subgoal"
        said = f"{reached} after {len(failure.path) - 1} steps"
        found.append((f"board {failure.board}: {said}", _drawn(failed(failure, said))))
    return found


def _said(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _drawn(figure: go.Figure) -> Markup:
    return drawn(figure, displayModeBar=False)
