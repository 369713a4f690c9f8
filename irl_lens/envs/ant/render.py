"""Drawing an arena as pixels, with MuJoCo's own renderer: on a screen's machine, and without one.

What draws is OpenGL, by the library that ``MUJOCO_GL`` names; where that is not set, by EGL on a
Linux machine without a display, which needs no screen, and else as MuJoCo would.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from irl_lens.arrays import NDArray
from irl_lens.envs.ant.physics import MUJOCO, make_model
from irl_lens.envs.ant.spec import AntSpec
from irl_lens.envs.pinpad.render import FLOOR, PALETTE, WALL
from irl_lens.errors import UserError

RENDER_MODES = ("rgb_array",)
PIXELS = 480
"""Width and height of a picture."""
ELEVATION = -65.0
"""Angle of the camera [degrees]; -90 is from straight above."""
GAP = 0.02
"""Width of the lines between cells, as a share of half a cell."""


def check_mode(mode: str | None) -> str | None:
    """Returns ``mode``; raises ``ValueError`` if it is no render mode."""
    if mode is not None and mode not in RENDER_MODES:
        raise ValueError(f"no render mode {mode!r}; there are: {', '.join(RENDER_MODES)}")
    return mode


class Renderer:
    """Draws ants in an arena.

    Args:
        world: The arena.

    Raises:
        UserError: There is no OpenGL to draw with; names what to install.
    """

    def __init__(self, world: AntSpec) -> None:
        self._world, self._model = world, make_model(world.settings)
        self._data = MUJOCO.MjData(self._model)
        self._gl: Any = _context()
        self._gl.make_current()
        self._pixels = MUJOCO.MjrContext(self._model, MUJOCO.mjtFontScale.mjFONTSCALE_100.value)
        MUJOCO.mjr_setBuffer(MUJOCO.mjtFramebuffer.mjFB_OFFSCREEN.value, self._pixels)
        self._scene = MUJOCO.MjvScene(model=self._model, maxgeom=2_000)
        self._camera, self._option = _camera(world), MUJOCO.MjvOption()

    def draw(
        self, qpos: Float[NDArray[np.float64], 15], objects: Int[NDArray[np.int64], " objects"]
    ) -> UInt8[NDArray[np.uint8], "height width 3"]:
        """Draws one arena.

        Args:
            qpos: The body's positions.
            objects: Cell of each colour, then of each wall.
        """
        self._gl.make_current()
        self._data.qpos[:] = qpos
        MUJOCO.mj_forward(self._model, self._data)
        every = MUJOCO.mjtCatBit.mjCAT_ALL.value
        MUJOCO.mjv_updateScene(
            self._model, self._data, self._option, None, self._camera, every, self._scene
        )
        for cell in range(self._world.board.cells):
            self._tile(cell, _colour(self._world, objects, cell))
        rectangle = MUJOCO.MjrRect(0, 0, PIXELS, PIXELS)
        MUJOCO.mjr_render(rectangle, self._scene, self._pixels)
        picture = np.empty((PIXELS, PIXELS, 3), np.uint8)
        MUJOCO.mjr_readPixels(picture, None, rectangle, self._pixels)
        return picture[::-1].copy()

    def close(self) -> None:
        """Lets go of the OpenGL context."""
        self._pixels.free()
        self._gl.free()

    def _tile(self, cell: int, colour: tuple[int, ...]) -> None:
        """Lays a coloured tile on a cell of the scene's floor."""
        arena = self._world.arena
        half = arena.side / 2 * (1 - GAP)
        tile = self._scene.geoms[self._scene.ngeom]
        MUJOCO.mjv_initGeom(
            tile,
            MUJOCO.mjtGeom.mjGEOM_BOX.value,
            np.array([half, half, 0.001]),
            np.array([*arena.centres[cell], 0.001]),
            np.eye(3).ravel(),
            np.array([*np.array(colour) / 255, 1], np.float32),
        )
        self._scene.ngeom += 1


def _colour(
    world: AntSpec, objects: Int[NDArray[np.int64], " objects"], cell: int
) -> tuple[int, ...]:
    there = np.flatnonzero(objects == cell)
    if not len(there):
        return FLOOR
    number = int(there[0])
    return PALETTE[number % len(PALETTE)] if number < world.board.colours else WALL


def _camera(world: AntSpec) -> Any:
    camera = MUJOCO.MjvCamera()
    camera.lookat[:] = 0
    camera.distance, camera.elevation, camera.azimuth = 2.9 * world.arena.half, ELEVATION, 90
    return camera


def _context() -> Any:
    """An OpenGL context to draw off any screen."""
    chosen = os.environ.get("MUJOCO_GL")
    headless = sys.platform == "linux" and not os.environ.get("DISPLAY")
    try:
        if headless and not chosen:
            from mujoco.egl import GLContext
        else:
            from mujoco.gl_context import GLContext
        return GLContext(PIXELS, PIXELS)
    except Exception as error:  # each library fails in a way of its own
        raise UserError(
            f"no OpenGL to draw with ({type(error).__name__}: {error}); install EGL (on Debian and "
            "Ubuntu the packages libegl1 and libgl1-mesa-dri), or set MUJOCO_GL=osmesa and install "
            "libosmesa6; a view from above needs none of them"
        ) from error
