"""What is listed of settings is what can be given, and says what each means."""

from __future__ import annotations

from dataclasses import dataclass, fields

import pytest

from irl_lens.config.listing import about, settings
from irl_lens.config.overrides import changed
from irl_lens.config.presets import PRESETS

Sides = int
"""How many sides there are."""


@dataclass(frozen=True)
class Shape:
    """A shape.

    Attributes:
        area: Square metres, see :attr:`a.b.Shape`,
            and ``none`` for none.
    """

    sides: Sides
    area: float
    round: bool = False
    """Whether it is."""
    name: str = ""


@dataclass(frozen=True)
class Polygon(Shape):
    name: str = "polygon"
    """What it is called."""


@pytest.mark.parametrize("name", PRESETS)
def test_every_setting_is_listed_as_it_can_be_given_and_says_what_it_means(name: str) -> None:
    preset = PRESETS[name]
    listed = settings(preset)
    parts = [getattr(preset, field.name) for field in fields(preset) if field.name != "name"]
    assert len(listed) == sum(len(fields(part)) for part in parts)
    assert changed(preset, [f"{one.name}={one.default}" for one in listed]) == preset
    other = PRESETS["paper-ant" if name == "ant" else "ant"]
    given = [f"{one.name}={one.default}" for one in listed if not one.name.startswith("world.")]
    assert changed(other, given).discovery == preset.discovery
    assert [one.name for one in listed if len(one.about) < 5 or "`" in one.about] == []


def test_what_is_said_comes_from_the_class_or_else_from_the_type() -> None:
    assert about(Shape, "area") == "Square metres, see a.b.Shape, and none for none."
    assert about(Shape, "sides") == "How many sides there are."
    assert about(Polygon, "round") == "Whether it is."
    assert (about(Shape, "name"), about(Polygon, "name")) == ("", "What it is called.")
    made: dict[str, type] = {}
    exec("import dataclasses\n@dataclasses.dataclass\nclass Typed:\n    a: int", made)
    assert about(made["Typed"], "a") == ""
