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

from irl_lens.analyses.atlas.behaviour import Behaviour
from irl_lens.analyses.atlas.boards import Board
from irl_lens.analyses.atlas.figures import overview
from irl_lens.analyses.atlas.page import pages
from irl_lens.analyses.atlas.weights import Score
from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.result import Result
from irl_lens.arrays import NDArray

ALPHA = 0.05
"""Level below which a difference from the placebo is said to be one."""


@dataclass(frozen=True)
class Entry:
    """One controller.

    Attributes:
        name: What it is called.
        own: The subgoal it is for.
        norm: Frobenius norm of U.
        effective_rank: See :attr:`irl_lens.hooks.Spectrum.effective_rank`.
        values: Singular values, largest first; the placebo's are the same.
        scores: What it reads and writes.
        behaviour: What agents do under it.
        boards: Where they go on boards that are shown.
    """

    name: str
    own: int
    norm: float
    effective_rank: float
    values: Float[NDArray[np.float32], " k"]
    scores: tuple[Score, ...]
    behaviour: Behaviour
    boards: tuple[Board, ...]

    @property
    def differs(self) -> bool:
        """Whether its own subgoal comes first more often than under the placebo."""
        found = self.behaviour
        ahead = found.steered.hits[self.own].value > found.placebo.hits[self.own].value
        return found.p < ALPHA and ahead

    @property
    def beyond(self) -> tuple[Score, ...]:
        """What it reads and writes more than its placebos, the clearest first."""
        found = [score for score in self.scores if score.p < ALPHA]
        return tuple(sorted(found, key=lambda score: (score.p, score.placebo - score.value)))

    def __str__(self) -> str:
        found = self.behaviour
        steered, placebo, alone = (
            way.hits[self.own].value for way in (found.steered, found.placebo, found.alone)
        )
        verdict = "more than" if self.differs else "not reliably more than"
        return (
            f"{self.name}: {steered:.3f}, {verdict} the placebo's {placebo:.3f} "
            f"(p {found.p:.3f}; {alone:.3f} without control)."
        )


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

    def nearest(self, name: str) -> list[tuple[str, float]]:
        """Returns the other controllers with their cosines, nearest first."""
        own = [entry.name for entry in self.entries].index(name)
        pairs = [(e.name, float(c)) for e, c in zip(self.entries, self.cosines[own], strict=True)]
        return sorted((pair for pair in pairs if pair[0] != name), key=lambda pair: -pair[1])

    def hits(self, kind: str = "steered") -> Float[NDArray[np.float64], "entries subgoals"]:
        """Share of agents that reach each subgoal first; "steered", "placebo" or "alone"."""
        ways = [getattr(entry.behaviour, kind) for entry in self.entries]
        return np.array([[hit.value for hit in way.hits] for way in ways])

    def figure(self) -> go.Figure:
        """Draws first subgoals with, under a placebo and without, and the cosines."""
        return overview(self)

    def pages(self) -> dict[str, bytes]:
        """Returns an index and a page a controller, with plotly's code beside them."""
        return pages(self)

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


def quantities(entry: Entry, names: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Returns all numbers of an entry by name: value, interval if any, and the placebo's."""
    steered, placebo = entry.behaviour.steered, entry.behaviour.placebo
    found = {
        "norm": {"value": entry.norm, "placebo": entry.norm},
        "effective rank": {"value": entry.effective_rank, "placebo": entry.effective_rank},
    }
    for s in entry.scores:
        found[f"{s.side} {s.target}"] = {"value": s.value, "placebo": s.placebo, "p": s.p}
    for name, hit, null in zip(names, steered.hits, placebo.hits, strict=True):
        found[f"first {name}"] = hit.columns("value") | null.columns("placebo")
    steps = steered.steps.columns("value") | placebo.steps.columns("placebo")
    found["steps to the first subgoal"] = steps
    if (ended := entry.behaviour.ending) is not None:
        arrival = {"placebo": ended.chance, "p": ended.p}
        found["gate opens on arrival"] = ended.arrival.columns("value") | arrival
        found["steps until the gate opens"] = ended.dwell.columns("value")
    return found
