"""Figures as files to take away: pages that need no network, and pictures (PNG, SVG).

Pictures are drawn by kaleido, which needs Chrome or Chromium: the extra ``figures`` brings the
former.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from shutil import which

import plotly.graph_objects as go

from irl_lens.errors import UserError

FORMATS = "html", "png", "svg"
PICTURES = FORMATS[1:]
WIDTH, SCALE = 1000, 2
"""Width of a picture that has none of its own [px], and pixels of a PNG for each."""
BROWSERS = "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"
SMALLEST, LARGEST = 100, 10_000
"""Of the sides of a figure [px]."""


@dataclass(frozen=True)
class FigureFiles:
    """What a figure is written as.

    Attributes:
        formats: Some of :data:`FORMATS`.
        size: Width and height [px]; as drawn on the page, and :data:`WIDTH`, when None.
    """

    formats: tuple[str, ...] = ("html",)
    size: tuple[int, int] | None = None

    @classmethod
    def of(cls, formats: Sequence[str], size: str | tuple[int, int] | None) -> FigureFiles:
        """Checks what is asked for, before the work that makes the figure.

        Args:
            formats: Some of :data:`FORMATS`.
            size: Such as ``"900x500"`` or ``(900, 500)`` [px].

        Raises:
            UserError: There is no such format or size, or nothing to draw pictures with.
        """
        if wrong := [name for name in formats if name not in FORMATS]:
            raise UserError(f"--format {wrong[0]}: take {', '.join(FORMATS)}")
        if not formats:
            raise UserError(f"--format: give one or more of {', '.join(FORMATS)}")
        found = cls(tuple(dict.fromkeys(formats)), None if size is None else _sides(size))
        for kind in found.formats:
            if kind in PICTURES and (find_spec("kaleido") is None or find_browser() is None):
                why = "no kaleido" if find_spec("kaleido") is None else "no Chrome or Chromium"
                raise UserError(_lacking(kind, why))
        return found

    def sized(self, figure: go.Figure) -> go.Figure:
        """The figure in the size asked for; itself where none was."""
        if self.size is None:
            return figure
        width, height = self.size
        return go.Figure(figure).update_layout(width=width, height=height, autosize=False)


def picture(figure: go.Figure, kind: str) -> bytes:
    """Draws a figure.

    Args:
        figure: The figure.
        kind: One of :data:`PICTURES`.

    Raises:
        UserError: Kaleido, or the browser that it draws with, is not there.
    """
    width = figure.to_dict()["layout"].get("width", WIDTH)
    try:
        return figure.to_image(kind, width=width, scale=SCALE)
    except Exception as error:  # each browser fails in a way of its own
        why = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(_lacking(kind, why)) from error


def find_browser() -> str | None:
    """The browser that pictures are drawn with: where kaleido looks, or the PATH without it."""
    try:
        from choreographer.browsers.chromium import Chromium
    except ImportError:
        return os.environ.get("BROWSER_PATH") or next(filter(None, map(which, BROWSERS)), None)
    return Chromium.find_browser(skip_local=False)


def _lacking(kind: str, why: str) -> str:
    return (
        f'no {kind.upper()}: {why} (pip install "irl-lens[figures]", and have Chrome or Chromium, '
        "as irl-lens doctor says; or take the HTML)"
    )


def _sides(size: str | tuple[int, int]) -> tuple[int, int]:
    if isinstance(size, str):
        found = re.fullmatch(r"([0-9]{1,6})x([0-9]{1,6})", size)
        sides = (int(found[1]), int(found[2])) if found else (0, 0)
    else:
        sides = size
    if not all(SMALLEST <= side <= LARGEST for side in sides):
        raise UserError(
            f"--size {size}: give WIDTHxHEIGHT in pixels, such as 900x500, each from {SMALLEST} to "
            f"{LARGEST}"
        )
    return sides
