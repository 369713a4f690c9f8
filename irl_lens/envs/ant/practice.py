"""How the gait is learned: three lessons, and what it is measured by.

First a coarse time step, which is quick; then the same with dear falls; then the physics that the
gait is used in, without which it may come to stand still there for ever: in a policy without
memory or noise, a body at rest that gets no torque stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from irl_lens.arrays import NDArray
from irl_lens.envs.ant.gait import Gait
from irl_lens.envs.ant.spec import AntSpec
from irl_lens.envs.ant.success import measure
from irl_lens.envs.ant.walking import Rewards, Walking
from irl_lens.envs.practice import Lesson

COARSE = 0.5
"""The coarse time step, in control steps."""

DEVIATION = 0.2
"""Of torques, at least: the noise that the gait is to bear. Left alone it would fall to 0.12."""
STEADY = Lesson(
    "steady", 220, rows=512, discount=0.98, rate=4e-4, divergence=0.008, deviation=DEVIATION
)
DEAR_FALLS = Rewards(fall=30, upright=0.5)

LESSONS: dict[str, tuple[Lesson, Rewards, bool]] = {
    lesson.name: (lesson, rewards, coarse)
    for lesson, rewards, coarse in (
        (Lesson("walk", 560, deviation=DEVIATION), Rewards(), True),
        (STEADY, DEAR_FALLS, True),
        (replace(STEADY, name="fine", iterations=280, rows=256, rate=3e-4), DEAR_FALLS, False),
    )
}
"""How each is trained, what it is rewarded for, and whether with a coarse time step."""


class GaitPractice:
    """The gait as a skill to learn.

    Args:
        spec: The world that it is to be used in, with its physics.
    """

    def __init__(self, spec: AntSpec) -> None:
        self.spec = spec

    @property
    def lessons(self) -> tuple[Lesson, ...]:
        """In order."""
        return tuple(lesson for lesson, _, _ in LESSONS.values())

    def rows(self, lesson: str) -> Walking:
        """Returns rows for a lesson."""
        chosen, rewards, coarse = LESSONS[lesson]
        physics = self.spec.settings.physics
        if coarse:
            physics = replace(physics, timestep=COARSE * physics.control_step, substeps=2)
        return Walking(chosen.rows, rewards, physics)

    def measure(self, weights: Mapping[str, NDArray[Any]]) -> dict[str, float]:
        """Returns how often the expert succeeds with a gait, see :func:`measure`."""
        return measure(self.spec, Gait.of(weights))
