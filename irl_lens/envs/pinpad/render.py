"""Drawing a board, as text and as pixels; numpy only."""

from __future__ import annotations

import colorsys

import numpy as np
from jaxtyping import Int, UInt8

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.layouts import BoardSpec

RENDER_MODES = ("ansi", "rgb_array")

PALETTE = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66),
    (0, 114, 178), (213, 94, 0), (204, 121, 167), (148, 103, 189),
)  # fmt: skip
"""Colours 0 to 7 as red, green, blue: Okabe and Ito's, told apart by colour-blind readers."""

FLOOR, WALL, LINE, AGENT = (250, 250, 250), (70, 70, 70), (215, 215, 215), (20, 20, 20)
PIXELS = 32
"""Width and height of a cell."""


def check_mode(mode: str | None) -> str | None:
    """Returns ``mode``; raises ``ValueError`` if it is no render mode."""
    if mode is not None and mode not in RENDER_MODES:
        raise ValueError(f"no render mode {mode!r}; there are: {', '.join(RENDER_MODES)}")
    return mode


def render(
    mode: str, board: BoardSpec, objects: Int[NDArray[np.int64], " objects"], cell: int
) -> str | UInt8[NDArray[np.uint8], "height width 3"]:
    """Draws one board.

    Args:
        mode: ``"ansi"`` for text, ``"rgb_array"`` for pixels.
        board: Size of the board and number of colours.
        objects: Cell of each colour, then of each wall.
        cell: The agent's cell.
    """
    if mode == "ansi":
        return text(board, objects, cell)
    row, column = divmod(cell, board.size)
    return pixels(board, objects, (column, row))


def text(board: BoardSpec, objects: Int[NDArray[np.int64], " objects"], cell: int) -> str:
    """Draws colours as their numbers, walls as ``#`` and the agent as ``@`` before its cell."""
    width = len(str(board.colours - 1))
    signs = ["." * width] * board.cells
    for colour, at in enumerate(objects[: board.colours]):
        signs[at] = str(colour).rjust(width)
    for at in objects[board.colours :]:
        signs[at] = "#" * width
    marked = [("@" if i == cell else " ") + sign for i, sign in enumerate(signs)]
    lines = [marked[i : i + board.size] for i in range(0, board.cells, board.size)]
    return "\n".join("".join(line) for line in lines) + "\n"


def palette(colours: int) -> UInt8[NDArray[np.uint8], "colours 3"]:
    """Returns red, green and blue of each colour; beyond eight, evenly spaced hues."""
    if colours <= len(PALETTE):
        return np.array(PALETTE[:colours], np.uint8)
    hues = [colorsys.hsv_to_rgb(i / colours, 0.75, 0.9) for i in range(colours)]
    return (255 * np.array(hues)).astype(np.uint8)


def pixels(
    board: BoardSpec, objects: Int[NDArray[np.int64], " objects"], at: tuple[float, float]
) -> UInt8[NDArray[np.uint8], "height width 3"]:
    """Draws colours as squares, walls dark and the agent as a disc.

    Args:
        board: Size of the board and number of colours.
        objects: Cell of each colour, then of each wall.
        at: Column and row of the agent, whole numbers in the middle of a cell.
    """
    tiles = np.full((board.cells, 3), FLOOR, np.uint8)
    tiles[objects[: board.colours]] = palette(board.colours)
    tiles[objects[board.colours :]] = WALL
    grid = tiles.reshape(board.size, board.size, 3)
    frame = grid.repeat(PIXELS, axis=0).repeat(PIXELS, axis=1)
    frame[::PIXELS] = frame[:, ::PIXELS] = LINE
    frame[_disc(board.size, at)] = AGENT
    return frame


def _disc(size: int, at: tuple[float, float]) -> NDArray[np.bool_]:
    x, y = (np.arange(size * PIXELS) - PIXELS * v - (PIXELS - 1) / 2 for v in at)
    return y[:, None] ** 2 + x**2 <= (0.3 * PIXELS) ** 2
