"""Arrivals are where the planner's visits are made, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from irl_lens.envs.pinpad.arrivals import COUNTED
from irl_lens.envs.registry import SMALL_GRID, make_world
from irl_lens.envs.trajectories import Trajectories


def shown_by(observation: str, epsilon: float) -> tuple[np.ndarray, Trajectories, int]:
    """Events of demonstrations, these, and how many colours there are."""
    world = make_world(replace(SMALL_GRID, observation=observation))
    shown = world.demonstrate(60, seed=1, epsilon=epsilon)
    events = world.events(shown)  # type: ignore[attr-defined]
    assert events.shape[2] == len(world.event_names)  # type: ignore[attr-defined]
    return events, shown, len(world.visit_names)


@pytest.mark.parametrize("observation", ["onehot", "egocentric"])
@pytest.mark.parametrize("epsilon", [0.0, 0.3])
def test_an_expert_arrives_where_it_makes_its_visits(observation: str, epsilon: float) -> None:
    events, shown, colours = shown_by(observation, epsilon)
    progress, visits = shown.require("progress"), shown.require("visits")
    # It enters no colour but the one that is next, and a visit counts from the next step on.
    visited = (progress[:, 1:] > progress[:, :-1]) & shown.mask[:, 1:]
    rows, steps = np.nonzero(visited)
    assert len(rows) == events[..., :colours].sum() > 60
    assert events[rows, steps + 1, visits[rows, steps]].all()
    assert not events[:, 0].any() and not events[~shown.mask].any()


def test_arrivals_are_numbered_in_their_order() -> None:
    events, shown, colours = shown_by("egocentric", 0.0)
    rows, steps, number = np.nonzero(events[..., colours:])
    assert (shown.require("progress")[rows, steps] == number + 1).all() and number.max() < COUNTED
    assert len(rows) == events[..., :colours].sum()
