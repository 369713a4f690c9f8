"""Controllers one by one: weights, neighbours, behaviour, boards, placebos.

Each is described from its weights (:mod:`irl_lens.analyses.atlas.weights`), by its likeness to
the others (Frobenius cosine), by what agents do under it on many boards
(:mod:`irl_lens.analyses.atlas.behaviour`) and by where they go on a few that are shown
(:mod:`irl_lens.analyses.atlas.boards`); a random controller of the same singular values stands
beside it everywhere. :mod:`irl_lens.analyses.atlas.describe` makes atlases.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from jaxtyping import Float
from plotly.offline import get_plotlyjs

from irl_lens.analyses.atlas.entry import Entry, quantities
from irl_lens.analyses.atlas.figures import CONDITIONS, overview
from irl_lens.analyses.atlas.page import SCRIPT, controller_file, controller_page, index_page
from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.result import Result
from irl_lens.arrays import NDArray


@dataclass(frozen=True)
class Atlas(Result):
    """All controllers.

    Attributes:
        kind: What they are controllers of, or how they were made.
        entries: One a controller.
        cosines: Likeness of every two controllers, in the order of the entries.
        names: Of all abstract subgoals.
        rows: Boards roamed on.
    """

    kind: str
    entries: tuple[Entry, ...]
    cosines: Float[NDArray[np.float32], "entries entries"]
    names: tuple[str, ...]
    rows: int

    @property
    def _own_names(self) -> list[str]:
        """Names of the controllers."""
        return [entry.name for entry in self.entries]

    def nearest(self, name: str) -> list[tuple[str, float]]:
        """Returns the other controllers with their cosines, nearest first."""
        own = self._own_names.index(name)
        pairs = [(e.name, float(c)) for e, c in zip(self.entries, self.cosines[own], strict=True)]
        return sorted((pair for pair in pairs if pair[0] != name), key=lambda pair: -pair[1])

    def hits(self, condition: str = "steered") -> Float[NDArray[np.float64], "entries subgoals"]:
        """Share of agents that reach each subgoal first; "steered", "placebo" or "alone"."""
        ways = [getattr(entry.behaviour, condition) for entry in self.entries]
        return np.array([[hit.value for hit in way.hits] for way in ways])

    def figure(self) -> go.Figure:
        """Draws first subgoals with, under a placebo and without, and the cosines."""
        title = f"{self.kind.capitalize()}: what they lead to and how alike they are"
        hits = {condition: self.hits(condition) for condition in CONDITIONS}
        return overview(title, self._own_names, self.names, hits, self.cosines)

    def pages(self) -> dict[str, bytes]:
        """Returns an index and a page a controller, with plotly's code beside them."""
        own, count = self._own_names, len(self.entries)
        found = {"index.html": index_page(self.kind, self.figure(), self.caption(), own)}
        for number, entry in enumerate(self.entries):
            nearest = self.nearest(entry.name)
            text = controller_page(entry, self.names, self.rows, count, nearest)
            found[controller_file(number)] = text
        found[SCRIPT] = get_plotlyjs()
        return {name: text.encode() for name, text in found.items()}

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a controller and number, which another run's can be held against."""
        rows = [
            {"controller": entry.name, "quantity": quantity} | numbers
            for entry in self.entries
            for quantity, numbers in quantities(entry, self.names).items()
        ]
        return pd.DataFrame(rows)

    def caption(self) -> str:
        """Says which controllers lead to their own subgoal more often than a placebo."""
        return " ".join(
            [
                f"{self.kind.capitalize()}: each held from the first step on {self.rows} boards "
                "without a task; shares of agents whose first subgoal is the controller's own.",
                *map(str, self.entries),
                "The placebo has the same singular values in random directions; p is adjusted "
                f"for {len(self.entries)} controllers (Holm).",
            ]
        )

    def claims(self) -> tuple[Claim, ...]:
        """Returns one a controller: its own subgoal's share against the placebo's."""
        found = [(e, e.behaviour.steered.hits, e.behaviour.placebo.hits) for e in self.entries]
        return tuple(
            Claim(f"Controller {e}", hit[e.own].value - null[e.own].value, e.behaviour.p)
            for e, hit, null in found
        )
