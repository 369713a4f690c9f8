"""One controller of an atlas: what it is, what it reads and writes, what agents do under it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from irl_lens.analyses.atlas.behaviour import Behaviour
from irl_lens.analyses.atlas.boards import Board
from irl_lens.analyses.atlas.weights import Score
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
