"""What is seen in a batch of arenas: bodies come and go, and where objects are is told once.

With :attr:`irl_lens.envs.ant.spec.AntConfig.ways`, the ways to all colours are found once as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.ant.columns import Numbers, observe
from irl_lens.envs.ant.navigator import Navigator
from irl_lens.envs.ant.spec import AntSpec
from irl_lens.envs.pinpad.layouts import Layouts


@dataclass(frozen=True)
class Sights:
    """A batch of arenas to be seen.

    Attributes:
        spec: The world.
        objects: Cell of each colour, then of each wall.
        navigator: Finds the ways, if they are seen.
    """

    spec: AntSpec
    objects: Int[NDArray[np.int64], "n objects"]
    navigator: Navigator | None

    @classmethod
    def of(cls, spec: AntSpec, layouts: Layouts) -> Sights:
        """Returns those of layouts.

        Args:
            spec: The world.
            layouts: Where what is; it is not copied.
        """
        ways = Navigator.of(spec.board, layouts, spec.arena) if spec.settings.ways else None
        return cls(spec, layouts.objects, ways)

    def rows(self, index: NDArray[Any] | slice) -> Sights:
        """Returns those of some of the arenas."""
        ways = None if self.navigator is None else self.navigator.rows(index)
        return Sights(self.spec, self.objects[index], ways)

    def put(self, rows: Int[NDArray[np.intp], " k"], others: Sights) -> None:
        """Puts other arenas in the place of some."""
        self.objects[rows] = others.objects
        if self.navigator is not None and others.navigator is not None:
            self.navigator.worth[rows] = others.navigator.worth

    def observe(self, qpos: Numbers, qvel: Numbers) -> Float[NDArray[np.float32], "n columns"]:
        """Returns what is seen by bodies, one an arena.

        Args:
            qpos: Positions, see :class:`irl_lens.envs.ant.physics.Physics`.
            qvel: Velocities.
        """
        return observe(self.spec.arena, self.objects, qpos, qvel, self.navigator)
