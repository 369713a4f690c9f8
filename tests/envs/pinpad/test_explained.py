"""A pinpad world says what is to be done in it, whatever its size, body and grammar."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from irl_lens.envs.ant.spec import AntConfig
from irl_lens.envs.contracts import Explained
from irl_lens.envs.pinpad.spec import PinpadConfig
from irl_lens.envs.registry import make_world

WORLDS = {
    "grid": (PinpadConfig(), "A is 0 then 1, B is 2 then 3", "4 walls", 3),
    "one wall": (PinpadConfig(walls=1, size=8), "D is 6 then 7", "1 wall, all", 3),
    "ant": (
        AntConfig(),
        "An abstract subgoal is one colour to step on;",
        "a fall or leaving the board.",
        3,
    ),
    "open ant": (AntConfig(edge="open"), "a body with four legs", "so does a wall or a fall.", 3),
}


@pytest.mark.parametrize("name", WORLDS)
def test_a_world_explains_itself(name: str) -> None:
    config, subgoals, rest, panels = WORLDS[name]
    world = make_world(config)
    assert isinstance(world, Explained)
    found = world.explanation
    assert found.text.count(". ") == 3 and subgoals in found.text and rest in found.text
    drawn = ElementTree.fromstring(found.picture)
    assert len(drawn.findall(".//{http://www.w3.org/2000/svg}polyline")) == panels
