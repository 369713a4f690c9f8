"""What a world offers is asked for by contract, and refused clearly."""

from __future__ import annotations

import pytest

from irl_lens.envs import make_world
from irl_lens.envs.contracts import (
    DISCRETE,
    LABELS,
    Eventful,
    Paired,
    Retraceable,
    Roamable,
    Varied,
    ask,
    require,
)
from irl_lens.envs.protocol import Filtered, World
from irl_lens.envs.registry import SMALL_GRID
from irl_lens.envs.scenes import (
    Drawable,
    Editable,
    Mapped,
    Playable,
    Situation,
    Stageable,
    Steppable,
    Traceable,
    Walkable,
)
from irl_lens.errors import NotOffered, UserError
from tests.point_world import PointConfig, PointWorld


def test_the_grid_keeps_all_but_that_of_pairs_of_its_own() -> None:
    world = make_world(SMALL_GRID)
    maps = (Mapped, Stageable, Retraceable, Walkable, Roamable)
    for contract in (World, Filtered, *maps, Eventful, Varied):
        assert isinstance(world, contract)
    assert not isinstance(world, Paired)
    situation = ask(world, Stageable, "a test").situation(seed=0)
    for contract in (Drawable, Editable, Playable, Steppable, Traceable, Situation):
        assert isinstance(situation, contract)


@pytest.mark.parametrize(
    ("contract", "message"),
    [
        (Filtered, "offer an exact Bayes filter, which the floor needs: it has no floor;"),
        (Mapped, "offer a map: places of the agent, which .* no places, points;"),
        (
            Stageable,
            "situations to draw and edit, .* no places, points, situation, situations, stage;",
        ),
        (Roamable, "no roaming, training_tasks, transitions;"),
        (Eventful, "events that its observations show, .* no event_names, events;"),
        (Paired, "no edits, pairs;"),
        (Varied, "offer things to vary: tasks, experts, .* no variations, varied;"),
    ],
)
def test_a_world_of_the_necessary_alone_is_refused(contract: type, message: str) -> None:
    world = PointWorld(PointConfig())
    assert isinstance(world, World)
    with pytest.raises(UserError, match=f"a PointWorld does not .*{message}"):
        ask(world, contract, "the floor")


def test_all_that_is_lacking_is_named_at_once() -> None:
    grid, point = make_world(SMALL_GRID), PointWorld(PointConfig(labelled=False))
    require(grid, (LABELS, DISCRETE, Filtered, Roamable), "a test")
    require(PointWorld(PointConfig()), (LABELS,), "a test")
    said = "a test needs labels of subgoals, actions out of a finite set and an exact Bayes filter,"
    with pytest.raises(NotOffered, match=f"^{said} which a PointWorld does not offer here; see"):
        require(point, (LABELS, DISCRETE, Filtered), "a test")
