"""What an ant's world is made of: settings, arena, task grammar and observation.

The defaults are the paper's (arXiv 2512.20605, App. A.2) where it gives any. It leaves open how
large a cell is, how the body is stepped, and what becomes of one that leaves the arena or lies on
its back.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from irl_lens.envs.ant.arena import Arena
from irl_lens.envs.ant.columns import observation_spec
from irl_lens.envs.pinpad.limits import check_whole
from irl_lens.envs.pinpad.spec import PinpadConfig, PinpadSpec
from irl_lens.envs.spaces import ContinuousActions, ObservationSpec

TORQUES = tuple(f"{joint}{leg}" for leg in range(1, 5) for joint in ("hip", "ankle"))
"""The torques of an action: hip and ankle of each leg."""
JOINTS = len(TORQUES)


@dataclass(frozen=True)
class PhysicsOptions:
    """How the body is simulated; a gait has to be trained in the physics that it is used in.

    Attributes:
        integrator: ``euler`` (joint damping is implicit) is 3.9 times as fast as ``rk4``, which
            Gymnasium's ant has, and walks as well.
        timestep: Seconds of a step. At 0.025 gaits fall that do not at 0.01.
        substeps: Steps of one control step.
        gear: Newton metres of a torque of 1.
    """

    integrator: Literal["euler", "implicitfast", "rk4"] = "euler"
    timestep: float = 0.01
    substeps: int = 5
    gear: float = 150.0

    def __post_init__(self) -> None:
        _check("timestep", self.timestep, 1e-4, 0.05)
        check_whole("substeps", self.substeps, 1, 1_000)
        _check("gear", self.gear, 1e-3, 1e4)
        if self.integrator not in ("euler", "implicitfast", "rk4"):
            raise ValueError(f"integrator {self.integrator!r}; take euler, implicitfast or rk4")

    @property
    def control_step(self) -> float:
        """Seconds of a control step."""
        return self.timestep * self.substeps


@dataclass(frozen=True)
class AntConfig(PhysicsOptions):
    """An ant's world.

    Attributes:
        size: Cells on a side of the arena.
        colours: Coloured cells, each colour once.
        walls: Wall cells: they stop nothing, who enters one has failed.
        horizon: Control steps after which an episode is truncated.
        grammar: Name of the task grammar, see :data:`irl_lens.envs.pinpad.tasks.GRAMMARS`.
        cell: Side of a cell [m]. To stop takes a walking ant 0.3 to 0.5 m, so that it leaves
            narrower cells on the wrong side; in wider ones tasks take longer.
        edge: What becomes of an ant that leaves the arena: the episode ``ends``, or nothing does
            (``open``) and it may come back.
        fall: What counts as a fall, which ends the episode: a torso lower than 0.2 m or higher
            than 1 m (``height``, the paper's rule), or that or lying on the back (``upright``),
            which the paper's rule misses: such an ant never gets up, and runs out of time.
        spread: How far from the middle of its cell an ant starts at most, in cells, along x and y.
        noise: Standard deviation of the actions of demonstrations, relative to the one that the
            gait was trained with. More makes the expert fall; with less, models of its actions
            pay more for what they get wrong elsewhere than for not knowing the goal.
        ways: Show in which direction each colour is to be reached, around walls and other colours
            (:mod:`irl_lens.envs.ant.navigator`), and how much the ant is in its cell. The paper's
            ant does not see these; small models tried without ways did not hold what they were
            after, and no code said which colour was reached (docs/lab-notebook.md).
        gait: File of the expert's gait, of ``irl-lens train expert``; or ``shipped``, the one that
            comes with the package, which was trained in the default physics.
    """

    size: int = 4
    colours: int = 4
    walls: int = 1
    horizon: int = 500
    grammar: str = "paper-ant"
    cell: float = 1.5
    edge: Literal["ends", "open"] = "ends"
    fall: Literal["upright", "height"] = "upright"
    spread: float = 0.35
    noise: float = 0.75
    ways: bool = True
    gait: str = "shipped"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check("cell", self.cell, 0.5, 10)
        _check("spread", self.spread, 0, 0.5)
        _check("noise", self.noise, 0, 10)
        if self.edge not in ("ends", "open"):
            raise ValueError(f"edge {self.edge!r}; take ends or open")
        if self.fall not in ("upright", "height"):
            raise ValueError(f"fall {self.fall!r}; take upright or height")

    @property
    def physics(self) -> PhysicsOptions:
        """How the body is simulated."""
        return PhysicsOptions(**{f.name: getattr(self, f.name) for f in fields(PhysicsOptions)})

    @property
    def board(self) -> PinpadConfig:
        """The board that the arena is, with its tasks."""
        return PinpadConfig(self.size, self.colours, self.walls, self.horizon, self.grammar)


class AntSpec(PinpadSpec):
    """Arena, grammar and observation of a configuration.

    Args:
        config: Settings of the world.

    Raises:
        ValueError: A setting is out of range, or there is no such world.
    """

    def __init__(self, config: AntConfig) -> None:
        super().__init__(config.board)
        self.settings = config
        self.arena = Arena(config.size, config.cell)
        self._observation = observation_spec(self.board, self.arena, config.ways)

    @property
    def observation(self) -> ObservationSpec:
        """What a base model reads."""
        return self._observation

    @property
    def actions(self) -> ContinuousActions:  # type: ignore[override]
        """The torques, relative to the gear."""
        return ContinuousActions(JOINTS, -1.0, 1.0, TORQUES)


def _check(name: str, value: float, low: float, high: float) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low <= value <= high:
        raise ValueError(f"{name} {value!r}; take a number from {low:g} to {high:g}")
