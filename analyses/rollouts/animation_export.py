"""An episode as GIF or MP4, by imageio where it is installed.

Beside the board stand, from above: the colour of the subgoal that the code is most like, its
brightness the gate's; and bars from the middle in the direction of each action, as long as it
is probable, the base alone behind in grey. Where actions are no moves there is one bar for each
entry, side by side, up or down from the middle.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from irl_lens.analyses.figures.style import GREY, INK, MAIN, paler
from irl_lens.analyses.rollouts.shown_episode import ShownEpisode
from irl_lens.arrays import NDArray
from irl_lens.errors import UserError
from irl_lens.files.tensors import write_bytes

MILLISECONDS, LEAST = 250, 60
"""How long a step is shown, and a picture of several steps at least."""
NEEDED = {".gif": "imageio", ".mp4": "imageio[ffmpeg]"}
"""What to install for each kind of file."""
SIDE = 112
"""Width of what stands beside the board [px]."""

Picture = UInt8[NDArray[np.uint8], "height width 3"]


def exported(shown: ShownEpisode, path: Path) -> Path:
    """Writes an episode; see :meth:`irl_lens.analyses.rollouts.animation.Animation.export`."""
    if path.suffix not in NEEDED:
        raise UserError(f"{path} ends in {path.suffix!r}; take one of {', '.join(NEEDED)}")
    write_bytes(path, encoded(shown, path.suffix))
    return path


def gif_is_possible() -> bool:
    """Whether imageio is installed."""
    try:
        import imageio.v3  # type: ignore[import-not-found] # noqa: F401
    except ImportError:
        return False
    return True


def encoded(shown: ShownEpisode, suffix: str) -> bytes:
    """Returns the file of an episode.

    Args:
        shown: The episode.
        suffix: One of :data:`NEEDED`.

    Raises:
        UserError: imageio, or what it needs for such a file, is not installed.
    """
    frames = np.stack([picture(shown, step) for step in shown.frames])
    pause = max(MILLISECONDS // shown.stride, min(LEAST, MILLISECONDS))
    seconds = pause / 1000
    how: dict[str, Any] = {"duration": pause, "loop": 0}
    if suffix == ".mp4":
        how = {"plugin": "FFMPEG", "fps": 1 / seconds}
    try:
        import imageio.v3 as imageio  # type: ignore[import-not-found]

        return imageio.imwrite("<bytes>", frames, extension=suffix, **how)
    except ImportError as error:
        needed = NEEDED[suffix]
        raise UserError(f"{suffix} files need {needed}: pip install '{needed}'") from error


def picture(shown: ShownEpisode, step: int) -> Picture:
    """Returns the board and what stands beside it, with even sides, as videos want."""
    board = shown.pictures[step]
    height, width = (size + size % 2 for size in board.shape[:2])
    height = max(height, SIDE)
    canvas = np.full((height, width + SIDE, 3), 255, np.uint8)
    canvas[: board.shape[0], : board.shape[1]] = board
    beside = canvas[:, width:]
    band = height // 6
    if step < len(shown.actions):
        colour = shown.palette[shown.alike[step]]
        beside[4 : 4 + band, 8:-8] = rgb(paler(colour, 0.25 + 0.75 * float(shown.beta[step])))
        side = _compass if shown.scene.moves else _columns
        side(beside[4 + band :], shown, step)
    return canvas


def _compass(area: Picture, shown: ShownEpisode, step: int) -> None:
    """Draws a bar for each action, from the middle outwards."""
    middle = np.array(area.shape[:2]) // 2
    reach = min(middle) - 10
    chances = (shown.alone[step], GREY, 9), (shown.meant[step], MAIN, 5)
    for probabilities, colour, half in chances:
        for move, chance in zip(shown.scene.moves, probabilities, strict=True):
            way = np.array([move.dy, move.dx])
            tip = np.round(middle + way * reach * float(chance)).astype(int)
            aside = half * (way == 0)
            low, high = np.minimum(middle, tip) - aside, np.maximum(middle, tip) + aside
            area[low[0] : high[0] + 1, low[1] : high[1] + 1] = rgb(colour)
    area[middle[0] - 3 : middle[0] + 4, middle[1] - 3 : middle[1] + 4] = rgb(INK)


def _columns(area: Picture, shown: ShownEpisode, step: int) -> None:
    """Draws a bar for each action or entry, side by side, up or down from the middle."""
    middle, width = area.shape[0] // 2, (area.shape[1] - 16) // len(shown.labels)
    most = max(float(np.abs(x).max()) for x in (shown.meant, shown.alone)) or 1.0
    for values, colour, thin in (shown.alone[step], GREY, 0), (shown.meant[step], MAIN, 2):
        for number, value in enumerate(values):
            tip = middle - round(float(value) / most * (middle - 10))
            low, high, left = min(middle, tip), max(middle, tip), 8 + number * width
            area[low : high + 1, left + thin : left + max(width - 2, 3) - thin] = rgb(colour)
    area[middle - 1 : middle + 1, 8:-8] = rgb(INK)


def rgb(colour: str) -> tuple[int, int, int]:
    """Reads ``#rrggbb``."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return red, green, blue
