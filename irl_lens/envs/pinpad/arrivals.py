"""Events that observations of a pinpad show: which colour the agent has just come to.

    arrival(c, t) = at(t) is the cell of colour c and at(t - 1) is another
    k-th arrival  = the k-th of them in the episode, of whichever colour

The first step is none. What was on the cell is all that is used: neither task nor progress.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.layouts import Layouts
from irl_lens.envs.pinpad.spec import PinpadSpec
from irl_lens.envs.trajectories import Trajectories

COUNTED = 6
"""Arrivals that are told apart by their number."""


def arrival_names(spec: PinpadSpec) -> tuple[str, ...]:
    """Names of the events, colours first."""
    colours = (f"arrival on colour {name}" for name in spec.visit_names)
    return (*colours, *(f"arrival number {k}" for k in range(1, COUNTED + 1)))


def arrivals(
    spec: PinpadSpec, places: Int[NDArray[np.int64], "n steps"], shown: Trajectories
) -> Bool[NDArray[np.bool_], "n steps events"]:
    """Marks the events at each step.

    Args:
        spec: The world.
        places: The agent's cell at each step; -1 in none.
        shown: Episodes on the boards of which it was there.
    """
    colours = Layouts.of(shown).objects[:, None, : spec.board.colours]
    came = np.zeros_like(shown.mask)
    came[:, 1:] = shown.mask[:, 1:] & (places[:, 1:] != places[:, :-1])
    on = (places[..., None] == colours) & came[..., None]
    number = np.cumsum(on.any(axis=2), axis=1)
    counted = on.any(axis=2)[..., None] & (number[..., None] == np.arange(1, COUNTED + 1))
    return np.concatenate([on, counted], axis=2)
