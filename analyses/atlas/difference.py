"""Two runs' atlases against each other: what controllers of the same name lead to.

    d = x_2 - x_1,   from d - sqrt((x_2 - low_2)^2 + (high_1 - x_1)^2)
                     to   d + sqrt((high_2 - x_2)^2 + (x_1 - low_1)^2)

with the shares x of two independent runs and their intervals (Newcombe 1998, method 10). The
placebos of both, which have nothing in common but their
norms, tell how far two controllers differ that do nothing in particular.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from irl_lens.analyses.atlas.atlas import Atlas
from irl_lens.analyses.atlas.entry import Entry
from irl_lens.analyses.atlas.figures import matrix
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.figures.style import CONTRAST, GREY, MAIN, styled
from irl_lens.analyses.stats.estimates import Estimate
from irl_lens.errors import UserError


@dataclass(frozen=True)
class AtlasDifference(Result):
    """See the module.

    Attributes:
        one: Of one run.
        other: Of the other.
    """

    one: Atlas
    other: Atlas

    @property
    def pairs(self) -> list[tuple[Entry, Entry]]:
        """Controllers that both have."""
        others = {entry.name: entry for entry in self.other.entries}
        return [(e, others[e.name]) for e in self.one.entries if e.name in others]

    def gaps(self, kind: str = "steered") -> list[Estimate]:
        """By how much more often each leads to its own subgoal in the other run."""
        hits = [[getattr(e.behaviour, kind).hits[e.own] for e in pair] for pair in self.pairs]
        return [gap(*pair) for pair in hits]

    def figure(self) -> go.Figure:
        """Draws the share of each controller's own subgoal in both, and all differences."""
        titles = "own subgoal first", "first subgoal, other − one"
        figure = make_subplots(cols=2, subplot_titles=titles, column_widths=[0.6, 0.4])
        names = [entry.name for entry, _ in self.pairs]
        looks = ("one", MAIN, ""), ("other", CONTRAST, "")
        looks = (*looks, ("one, placebo", GREY, "/"), ("other, placebo", GREY, "\\"))
        for number, (label, color, pattern) in enumerate(looks):
            kind = "steered" if number < 2 else "placebo"
            found = [getattr(p[number % 2].behaviour, kind).hits[p[0].own] for p in self.pairs]
            figure.add_bar(
                x=names,
                y=[hit.value for hit in found],
                error_y={
                    "array": [hit.high - hit.value for hit in found],
                    "arrayminus": [hit.value - hit.low for hit in found],
                },
                name=label,
                marker={"color": color, "pattern": {"shape": pattern}},
                row=1,
                col=1,
            )
        table = [
            [b.value - a.value for a, b in zip(*self._hits(pair), strict=True)]
            for pair in self.pairs
        ]
        trace = matrix(np.array(table), self.one.names, names, signed=True)
        figure.add_trace(trace, 1, 2)
        figure.update_yaxes(title="share of episodes", range=[0, 1], col=1)
        figure.update_yaxes(autorange="reversed", showgrid=False, type="category", col=2)
        figure.update_xaxes(title="controller", type="category", col=1)
        figure.update_xaxes(title="reached first", showgrid=False, type="category", col=2)
        layout = {"legend": {"y": 1.12}, "margin": {"t": 120}}
        return styled(figure, "Two runs' controllers", 420, **layout)

    def _hits(self, pair: tuple[Entry, Entry]) -> tuple[tuple[Estimate, ...], ...]:
        return tuple(entry.behaviour.steered.hits for entry in pair)

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a controller and number that both have."""
        keys = ["controller", "quantity"]
        merged = pd.merge(
            self.one.to_dataframe(), self.other.to_dataframe(), on=keys, suffixes=("_one", "_other")
        )
        return merged.assign(difference=merged["value_other"] - merged["value_one"])

    def caption(self) -> str:
        """Says which controllers differ between the runs."""
        said = [
            f"{entry.name} {found}, placebos {null.value:+.3f}"
            for (entry, _), found, null in zip(
                self.pairs, self.gaps(), self.gaps("placebo"), strict=True
            )
        ]
        far = [
            entry.name
            for (entry, _), found in zip(self.pairs, self.gaps(), strict=True)
            if found.low > 0 or found.high < 0
        ]
        verdict = f"{', '.join(far)} differ" if far else "no controller differs reliably"
        return (
            f"Share of agents whose first subgoal is the controller's own, other run less one: "
            f"{'; '.join(said)}. At 95 %, each on its own, {verdict}."
        )


def difference(one: Atlas, other: Atlas) -> AtlasDifference:
    """Holds two runs' atlases against each other.

    Raises:
        UserError: They have no controller of the same name, or other subgoals.
    """
    if one.names != other.names:
        raise UserError(
            f"subgoals {', '.join(one.names)} and {', '.join(other.names)}; take runs of one world"
        )
    found = AtlasDifference(one, other)
    if not found.pairs:
        raise UserError("the two runs have no controller of the same name")
    return found


def gap(one: Estimate, other: Estimate) -> Estimate:
    """The difference of two independent shares, with its interval."""
    value = other.value - one.value
    low = value - hypot(other.value - other.low, one.high - one.value)
    return Estimate(value, low, value + hypot(other.high - other.value, one.value - one.low))
