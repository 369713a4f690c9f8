"""What is to be done in a pinpad world: four sentences, and a picture of one demonstration.

The picture has a panel for each abstract subgoal of the task: where the agent is when the subgoal
begins (ring), its way, and where the subgoal ends (disc).
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import pairwise

import numpy as np

from irl_lens.envs.contracts import Explanation
from irl_lens.envs.pinpad.spec import PinpadSpec
from irl_lens.envs.scenes import Points, Scene, Stageable

SEED = 38
"""In the default grid a board with the task A C B, on which no part of the way crosses itself."""
CELL, GAP, TOP = 40, 28, 64
"""A cell, the gap between boards, and what is above them [px]."""
INK, LINE = "#141414", "#d7d7d7"
KEY = "(ring: where a subgoal begins, disc: where it ends)"
DARK = ("#0072b2", "#9467bd", "#d55e00", "#009e73")
"""Colours on which numbers are white."""


def sentences(spec: PinpadSpec, agent: str, mishaps: str = "") -> str:
    """Says what is to be done.

    Args:
        spec: The world.
        agent: What the agent is or does.
        mishaps: What else ends an episode.
    """
    config, grammar = spec.config, spec.grammar
    walls = "1 wall" if config.walls == 1 else f"{config.walls} walls"
    names = grammar.subgoal_names
    each = zip(names, grammar.subgoals, strict=True)
    told = ", ".join(f"{name} is {_in_order(colours)}" for name, colours in each)
    single = all(len(colours) == 1 for colours in grammar.subgoals)
    subgoal = "one colour to step on" if single else f"colours to step on in order: {told}"
    heldout = " ".join(names[s] for s in grammar.heldout)
    return (
        f"On a board of {config.size} x {config.size} cells lie {config.colours} colours, 0 to "
        f"{config.colours - 1}, and {walls}, all in random places; {agent}. "
        f"An abstract subgoal is {subgoal}; a task is a sequence of subgoals, {len(grammar.train)} "
        f"are shown by experts, and {heldout} is held out. "
        f"Stepping on a colour that is not the next one of the task ends the episode{mishaps}. "
        "There is one reward, 1, for completing the whole task, and nothing that the agent sees "
        "says what the task is or how far it has come."
    )


def picture(world: PinpadSpec) -> str:
    """Returns one demonstration of the expert on one board as SVG.

    Args:
        world: A world whose situations can be drawn.
    """
    assert isinstance(world, Stageable)
    situation = world.situation(SEED)
    shown = situation.demonstrate(SEED)
    way, scene = world.points(shown.observations)[0], situation.scene()
    if scene.moves:  # into the cell that ends the task, which is no more observed
        move = scene.moves[int(shown.actions[0, -1])]
        way = np.vstack([way, way[-1] + (move.dx, move.dy)])
    cuts = [0, *np.flatnonzero(shown.boundaries()[0]).tolist(), len(way) - 1]
    ways = [way[a : b + 1] for a, b in pairwise(cuts)]
    names = [world.subgoal_names[s] for s in situation.task]
    visits = [world.grammar.subgoals[s] for s in situation.task]
    return _drawn(scene, names, visits, ways)


def explanation(world: PinpadSpec, agent: str, mishaps: str = "") -> Explanation:
    """Explains a world; see :func:`sentences`."""
    return Explanation(sentences(world, agent, mishaps), picture(world))


def _in_order(colours: tuple[int, ...]) -> str:
    return " then ".join(map(str, colours))


def _drawn(
    scene: Scene, names: list[str], visits: list[tuple[int, ...]], ways: list[Points]
) -> str:
    side = CELL * scene.width
    width = len(ways) * (side + GAP) + GAP
    order = " ".join(str(c) for colours in visits for c in colours)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {TOP + side + GAP}" '
        f'width="{width}" font-family="sans-serif" font-size="15" text-anchor="middle">',
        f"<title>One demonstration of the task {escape(' '.join(names))}</title>",
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


def _way(way: Points) -> Iterator[str]:
    """The path, a ring where it begins, a disc where it ends."""
    points = [tuple(int(v) for v in CELL * (point + 0.5)) for point in way]
    line = " ".join(f"{x},{y}" for x, y in points)
    look = f'fill="none" stroke="{INK}" stroke-width="4" stroke-linejoin="round"'
    yield f'<polyline points="{line}" {look} stroke-opacity="0.75"/>'
    (x, y), (last_x, last_y) = points[0], points[-1]
    yield f'<circle cx="{x}" cy="{y}" r="7" fill="#ffffff" stroke="{INK}" stroke-width="3"/>'
    yield f'<circle cx="{last_x}" cy="{last_y}" r="7" fill="{INK}"/>'


def _text(x: float, y: float, text: str, ink: str = INK) -> str:
    return f'<text x="{x:g}" y="{y:g}" fill="{ink}">{escape(text)}</text>'
