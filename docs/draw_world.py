"""Draws ``world.svg``, the picture that explains the grid: ``python docs/draw_world.py``.

One demonstration of the expert on one board, a panel for each abstract subgoal of its task: where
the agent is when the subgoal begins (ring), its way, and where the subgoal ends (disc).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from irl_lens.envs.pinpad.world import PinpadWorld
from irl_lens.envs.registry import GRID
from irl_lens.envs.scenes import Scene

SEED = 38
"""A board with the task A C B, on which no part of the way crosses itself."""
CELL, GAP, TOP = 40, 28, 64
"""A cell, the gap between boards, and what is above them [px]."""
INK, LINE = "#141414", "#d7d7d7"
KEY = "(ring: where a subgoal begins, disc: where it ends)"
DARK = ("#0072b2", "#9467bd", "#d55e00", "#009e73")
"""Colours on which numbers are white."""


def draw() -> str:
    """Returns the picture as SVG."""
    world = PinpadWorld(GRID)
    situation = world.situation(SEED)
    shown = situation.demonstrate(SEED)
    way = world.points(shown.observations)[0]
    move = situation.scene().moves[shown.actions[0, -1]]
    way = np.vstack([way, way[-1] + (move.dx, move.dy)])  # into the cell that ends the task
    cuts = [0, *np.flatnonzero(shown.boundaries()[0]).tolist(), len(way) - 1]
    ways = [way[a : b + 1] for a, b in pairwise(cuts)]
    names = [world.subgoal_names[s] for s in situation.task]
    visits = [world.grammar.subgoals[s] for s in situation.task]
    return _picture(situation.scene(), names, visits, ways)


def _picture(
    scene: Scene, names: list[str], visits: list[tuple[int, ...]], ways: list[np.ndarray]
) -> str:
    side = CELL * scene.width
    width = len(ways) * (side + GAP) + GAP
    order = " ".join(str(c) for colours in visits for c in colours)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {TOP + side + GAP}" '
        f'width="{width}" font-family="sans-serif" font-size="15" text-anchor="middle">',
        f"<title>One demonstration of the task {' '.join(names)}</title>",
        f'<rect width="{width}" height="{TOP + side + GAP}" fill="#ffffff"/>',
        _text(width / 2, 22, f"task {' '.join(names)}: the colours {order}, in this order {KEY}"),
    ]
    for i, (name, colours, way) in enumerate(zip(names, visits, ways, strict=True)):
        said = f"subgoal {name}: {', then '.join(map(str, colours))}"
        parts.append(f'<g transform="translate({GAP + i * (side + GAP)} {TOP})">')
        parts += [_text(side / 2, -12, said), *_board(scene), *_way(way), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _board(scene: Scene) -> Iterator[str]:
    """Cells, walls and colours with their numbers."""
    side = CELL * scene.width
    yield f'<rect width="{side}" height="{side}" fill="#fafafa" stroke="{LINE}"/>'
    for thing in scene.things:
        y, x = divmod(thing.place, scene.width)
        at = f'x="{x * CELL}" y="{y * CELL}" width="{CELL}" height="{CELL}"'
        yield f'<rect {at} fill="{thing.color}"/>'
        ink = "#ffffff" if thing.color in DARK else INK
        yield _text(x * CELL + 8, y * CELL + 14, thing.label, ink) if thing.label else ""
    lines = "".join(f"M{i * CELL} 0V{side}M0 {i * CELL}H{side}" for i in range(1, scene.width))
    yield f'<path d="{lines}" stroke="{LINE}" fill="none"/>'


def _way(way: np.ndarray) -> Iterator[str]:
    """The path, a ring where it begins, a disc where it ends."""
    points = [tuple(int(v) for v in CELL * (point + 0.5)) for point in way]
    line = " ".join(f"{x},{y}" for x, y in points)
    look = f'fill="none" stroke="{INK}" stroke-width="4" stroke-linejoin="round"'
    yield f'<polyline points="{line}" {look} stroke-opacity="0.75"/>'
    (x, y), (last_x, last_y) = points[0], points[-1]
    yield f'<circle cx="{x}" cy="{y}" r="7" fill="#ffffff" stroke="{INK}" stroke-width="3"/>'
    yield f'<circle cx="{last_x}" cy="{last_y}" r="7" fill="{INK}"/>'


def _text(x: float, y: float, text: str, ink: str = INK) -> str:
    return f'<text x="{x:g}" y="{y:g}" fill="{ink}">{text}</text>'


if __name__ == "__main__":
    Path(__file__).with_name("world.svg").write_text(draw())
