"""What is observed of an ant: columns none of which tells the task or the progress.

    column                        unit        scale   frame
    0_cell, 1_cell, .., wall0_cell   -        -       the board: cell of each object, categorical
    height                        m           0.1     above a standing torso's
    up_x, up_y                    -           0.2     heading: where the torso's top points
    velocity_x, _y, _z            symlog m/s  0.5     heading
    spin_x, _y, _z                symlog 1/s  0.5     body: angular velocity in rad/s
    cos_heading, sin_heading      -           1       arena
    hip1 .. hip4                  rad         0.3
    ankle1 .. ankle4              rad         0.3     from the middle of its range
    hip1_speed .. ankle4_speed    symlog 1/s  1
    x, y                          -           0.5     arena, -1 and 1 at its edges
    cell_cos_x, _y, cell_sin_x, _y  -         1       the cell: -1 and 0 at its edges, 1 and 0 amid
    0_x, 0_y, .., wall0_x, ..     m           2       arena: from the ant to each object's centre
    at0, at1, ..                  -           1       the board: how much the ant is in each cell
    way0_x, way0_y, ..            -           1       heading: where to walk to reach each colour
    near0, near1, ..              -           1       how much the ant is in each colour's cell
    on0, on1, ..                  -           1       1 where that cell is the ant's own, else 0

with symlog(v) = sign(v) ln(1 + |v|), and 2 m for an arena of 6 m: a third of its side. "Heading" is
the arena's frame turned about the vertical so that x is where the torso's front points: what an ant
does at its place is then the same in all directions, and so is easier to imitate. Where objects are
is seen in the arena's frame, though, and on the board as well, as the grid world has it: ways are
found by cells, and a small network finds them far better from these than from turned distances
(docs/lab-notebook.md, "Why a clone finds no way"). An ant between the centres of four cells is in
each with its bilinear weight,

    at_c = max(0, 1 - |x - c_x| / side) max(0, 1 - |y - c_y| / side)

and its place within the cell goes round once a cell, since what jumps at every cell's edges would
be an event of its own. Of what is seen, two things change abruptly: velocities, where a foot hits
the ground, and on which colour the ant is, with the visit; without that, a gate that is taught the
true boundaries errs at one in seven (docs/lab-notebook.md, "Which colour the ant is on is seen").
Ways, cosine and sine of where the expert would walk to reach a colour, at_c of the colours' own
cells, and which of them the ant is on, are seen with
:attr:`irl_lens.envs.ant.spec.AntConfig.ways` alone. (The paper, arXiv 2512.20605, App. A.2, names
proprioception through symlog, position, place within the cell and relative positions; frames,
scales, the board and ways are our choice.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.ant.arena import Arena
from irl_lens.envs.ant.navigator import Navigator
from irl_lens.envs.pinpad.layouts import BoardSpec
from irl_lens.envs.spaces import ObservationSpec, RealColumn

STANDING = 0.75
"""Height of a standing torso [m]."""
ANKLE = np.deg2rad(50)
"""Middle of an ankle's range [rad]."""
LEGS = range(1, 5)

_BODY: tuple[tuple[str, float], ...] = (
    ("height", 0.1),
    *((f"up_{axis}", 0.2) for axis in "xy"),
    *((f"velocity_{axis}", 0.5) for axis in "xyz"),
    *((f"spin_{axis}", 0.5) for axis in "xyz"),
    ("cos_heading", 1.0),
    ("sin_heading", 1.0),
    *((f"hip{leg}", 0.3) for leg in LEGS),
    *((f"ankle{leg}", 0.3) for leg in LEGS),
    *((f"{joint}{leg}_speed", 1.0) for joint in ("hip", "ankle") for leg in LEGS),
    *((axis, 0.5) for axis in "xy"),
    *((f"cell_{wave}_{axis}", 1.0) for wave in ("cos", "sin") for axis in "xy"),
)
BODY = len(_BODY)
"""Columns of the body and its place: they follow the categorical ones, one an object."""

Numbers = Float[NDArray[np.floating[Any]], "n _"]


def observation_spec(board: BoardSpec, arena: Arena, ways: bool) -> ObservationSpec:
    """Returns the columns of an arena.

    Args:
        board: Its size and objects.
        arena: Its cells.
        ways: The ways to the colours, how near they are and which the ant is on are among them.
    """
    objects = [*map(str, range(board.colours)), *(f"wall{i}" for i in range(board.walls))]
    columns = [RealColumn(name, scale) for name, scale in _BODY]
    far = 2 * arena.half / 3
    columns += [RealColumn(f"{name}_{axis}", far) for name in objects for axis in "xy"]
    # The place tells it: to predict that too would count it several times.
    columns += [RealColumn(f"at{cell}", predicted=False) for cell in range(board.cells)]
    if ways:
        colours = range(board.colours)
        columns += [RealColumn(f"way{colour}_{axis}") for colour in colours for axis in "xy"]
        columns += [RealColumn(f"near{colour}") for colour in colours]
        # Likewise told by the place; and what happens all at once has no Gaussian about it.
        columns += [RealColumn(f"on{colour}", predicted=False) for colour in colours]
    cells = (board.cells,) * len(objects)
    return ObservationSpec(tuple(f"{name}_cell" for name in objects), cells, (), tuple(columns))


def observe(
    arena: Arena,
    objects: Int[NDArray[np.int64], "n objects"],
    qpos: Numbers,
    qvel: Numbers,
    navigator: Navigator | None = None,
) -> Float[NDArray[np.float32], "n columns"]:
    """Returns observations.

    Args:
        arena: The cells.
        objects: Cell of each colour, then of each wall.
        qpos: Positions, see :class:`irl_lens.envs.ant.physics.Physics`.
        qvel: Velocities.
        navigator: Of these arenas, if the ways to the colours are to be seen.
    """
    w, x, y, z = qpos[:, 3:7].T
    heading = np.arctan2(2 * (x * y + w * z), 1 - 2 * (y**2 + z**2))
    cos, sin = np.cos(heading), np.sin(heading)
    up = _turned(2 * (x * z + w * y), 2 * (y * z - w * x), cos, sin)
    velocity = _turned(qvel[:, 0], qvel[:, 1], cos, sin)
    hips, ankles = qpos[:, 7::2], qpos[:, 8::2] - ANKLE
    places = qpos[:, :2]
    within = np.pi * arena.within(places)
    away = arena.centres - places[:, None]
    weights = np.maximum(1 - np.abs(away) / arena.side, 0).prod(axis=2)
    columns = (
        *(objects + arena.size**2 * np.arange(objects.shape[1])).T,
        qpos[:, 2] - STANDING,
        *up,
        *map(_symlog, (*velocity, *qvel[:, 2:6].T)),
        cos,
        sin,
        *hips.T,
        *ankles.T,
        *_symlog(qvel[:, 6::2]).T,
        *_symlog(qvel[:, 7::2]).T,
        *(places / arena.half).T,
        *np.cos(within).T,
        *np.sin(within).T,
        *np.take_along_axis(away, objects[..., None], axis=1).reshape(len(qpos), -1).T,
        *weights.T,
    )
    if navigator is not None:
        ways = navigator.ways(places, qvel[:, :2]) - heading[:, None]
        colours = objects[:, : ways.shape[1]]
        columns += (*np.stack([np.cos(ways), np.sin(ways)], axis=2).reshape(len(qpos), -1).T,)
        columns += (*np.take_along_axis(weights, colours, axis=1).T,)
        columns += (*(colours == arena.cells(places)[:, None]).T,)
    return np.stack(columns, axis=1).astype(np.float32)


def _symlog(x: NDArray[Any]) -> NDArray[Any]:
    return np.sign(x) * np.log1p(np.abs(x))


def _turned(
    x: NDArray[Any], y: NDArray[Any], cos: NDArray[Any], sin: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Turns vectors of the arena into the frame of the heading."""
    return cos * x + sin * y, cos * y - sin * x
