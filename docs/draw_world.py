"""Draws ``world.svg``, the picture that explains the grid: ``python docs/draw_world.py``."""

from __future__ import annotations

from pathlib import Path

from irl_lens.envs.pinpad.world import PinpadWorld
from irl_lens.envs.registry import GRID


def draw() -> str:
    """Returns the picture as SVG."""
    return PinpadWorld(GRID).explanation.picture


if __name__ == "__main__":
    Path(__file__).with_name("world.svg").write_text(draw())
