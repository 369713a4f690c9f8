"""Where roll-outs went."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from irl_lens.analyses.explorer.actions import Action, plain_actions
from irl_lens.arrays import NDArray
from irl_lens.envs.scenes import Scene


@dataclass(frozen=True)
class Outing:
    """Where agents went.

    Attributes:
        path: Place after each number of steps; -1 after the end, and in no place.
        trail: Column and row of the same, exactly where they were; NaN after the end.
        lengths: Steps that each took in all.
        actions: What they did.
        reached: Subgoals in the order they were reached; -1 where there is none.
        since: Step at which they left the walk.
        places: Places of the board.
    """

    path: Int[NDArray[np.int64], "n steps"]
    trail: Float[NDArray[np.float64], "n steps 2"]
    lengths: Int[NDArray[np.int64], " n"]
    actions: Shaped[NDArray[Any], "n moves *action"]
    reached: Int[NDArray[np.int64], "n subgoals"]
    since: int
    places: int

    def walked(self, row: int) -> tuple[tuple[int, ...], tuple[Action, ...]]:
        """Where one of them was after each number of steps, and what it did."""
        steps = int(self.lengths[row])
        path = self.path[row, : steps + 1].tolist()
        return tuple(path), plain_actions(self.actions[row, :steps])

    @property
    def occupancy(self) -> Float[NDArray[np.float64], " places"]:
        """Share of time at each place after the step it began at."""
        there = self.path[:, self.since + 1 :]
        counts = np.bincount(there[there >= 0], minlength=self.places)
        return counts / max(counts.sum(), 1)

    def first(self, scene: Scene) -> dict[str, float]:
        """Share of agents that come upon each thing first, ``"nothing"`` among them."""
        things = {t.place: t.label or t.name for t in scene.things if not t.solid}
        found = Counter(self._first(row, things) for row in self.path)
        return {name: found[name] / len(self.path) for name in (*things.values(), "nothing")}

    def _first(self, path: NDArray[np.int64], things: dict[int, str]) -> str:
        last = path[self.since]
        for place in path[self.since + 1 :]:
            if place != last and int(place) in things:
                return things[int(place)]
            last = place
        return "nothing"
