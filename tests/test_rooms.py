"""Who may know what: boards are known to ``envs`` alone, and imports point one way."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
INTERFACE = tuple(
    f"irl_lens.envs.{module}" for module in ("protocol", "scenes", "trajectories", "worlds")
)
"""All that is seen of ``envs`` from outside."""

FORBIDDEN = {
    "envs": ("torch", "transformer_lens", "plotly", "irl_lens"),
    "hooks": ("gymnasium", "mujoco", "plotly", "irl_lens"),
    "pipeline": ("plotly", "irl_lens.analyses", "irl_lens.envs"),
    "analyses": ("irl_lens.envs",),
}
"""What each room may not import, but for what is in ``ALLOWED``."""

ALLOWED = {
    "envs": ("irl_lens.envs", "irl_lens.arrays"),
    "hooks": ("irl_lens.hooks",),
    "pipeline": INTERFACE,
    "analyses": INTERFACE,
}

BOARD = r"pinpad|\bwalls?\b(?!.clock)|\bn_colours\b|\bcolour_map\b"
WORDS = {
    "hooks": rf"{BOARD}|colour",
    "pipeline": rf"{BOARD}|colour",
    # Figures have colours too, though no board's: a name may say so, no attribute or keyword.
    "analyses": rf"{BOARD}|\.colours\b|\bcolours=|[\"']colours[\"']",
}
"""What is not to be said outside ``envs``, even in comments. Libraries write ``color``."""


def sources() -> Iterator[tuple[str, Path]]:
    """Every source file and its room; the symlinks in ``irl_lens`` are no second copy."""
    for folder in ("hooks", "analyses", "irl_lens"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).parts
            if folder != "irl_lens":
                yield folder, path
            elif parts[1] not in ("hooks", "analyses"):
                yield "envs" if parts[1] == "envs" else "pipeline", path


def package_of(path: Path) -> str:
    """The package that a source file is imported in, as relative imports count it."""
    folders = path.relative_to(ROOT).parent.parts
    return ".".join(folders if folders[0] == "irl_lens" else ("irl_lens", *folders))


def imports(source: str, package: str) -> Iterator[str]:
    """Dotted names that are imported, by statement or as ``"module:name"`` strings."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from re.findall(r"^irl_lens[\w.]*(?=:\w+$)", node.value)


def within(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def trespasses(room: str, source: str, package: str = "irl_lens") -> list[str]:
    """Imports that the room may not make."""
    return [
        name
        for name in imports(source, package)
        # The package itself may be imported by anyone: that registers with Gymnasium.
        if within(name, FORBIDDEN[room]) and name != "irl_lens.envs"
        if not within(name, ALLOWED[room])
    ]


def said(room: str, source: str) -> list[str]:
    """Words that the room may not use."""
    pattern = WORDS.get(room, r"(?!)")
    return [found[0] for found in re.finditer(pattern, source, flags=re.IGNORECASE)]


def at_start(source: str) -> str:
    """The source without its functions: what runs when it is imported."""
    tree = ast.parse(source)
    tree.body = [node for node in tree.body if not isinstance(node, ast.FunctionDef)]
    return ast.unparse(tree)


@pytest.mark.parametrize("room", FORBIDDEN)
def test_imports_point_one_way(room: str) -> None:
    found = {}
    for where, path in sources():
        text = path.read_text()
        if path.parent == ROOT / "irl_lens" / "cli":  # composes everything, lazily
            text = at_start(text)
        if where == room and (names := trespasses(room, text, package_of(path))):
            found[str(path)] = names
    assert not found


@pytest.mark.parametrize("room", WORDS)
def test_boards_are_spoken_of_in_envs_alone(room: str) -> None:
    texts = {path: path.read_text() for where, path in sources() if where == room}
    assert texts and not {str(p): words for p, t in texts.items() if (words := said(room, t))}


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("envs", "import torch.nn"),
        ("envs", "from irl_lens.config.schema import Preset"),
        ("hooks", "from irl_lens.models.base import hook_name"),
        ("hooks", "from irl_lens import errors"),
        ("hooks", "from .errors import UserError"),
        ("hooks", "def f():\n    import plotly.graph_objects as go"),
        ("pipeline", "from irl_lens.envs.pinpad.world import PinpadWorld"),
        ("pipeline", "from irl_lens.envs import bayes, board"),
        ("pipeline", "import irl_lens.envs.pinpad.planner as planner"),
        ("pipeline", "STAGES = {'draw': 'irl_lens.analyses.report.report:build_report'}"),
        ("analyses", "if TYPE_CHECKING:\n    from irl_lens.envs.pinpad.layouts import Layouts"),
    ],
)
def test_wrong_imports_are_seen(room: str, source: str) -> None:
    assert trespasses(room, source)


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("pipeline", "batch = world.board.colours"),
        ("pipeline", "config = replace(preset.world, walls=0)"),
        ("pipeline", "# the third colour"),
        ("hooks", "class PinpadGate: ..."),
        ("analyses", "n = world.config.colours"),
        ("analyses", "make_world(WorldConfig(size=5, colours=4))"),
        ("analyses", "values = asdict(config)['colours']"),
        ("analyses", "from irl_lens.envs.pinpad.layouts import colour_map"),
        ("analyses", "count = grammar.n_colours"),
    ],
)
def test_wrong_words_are_seen(room: str, source: str) -> None:
    assert said(room, source)


def test_what_is_meant_otherwise_is_let_through() -> None:
    drawn = "colours = [paler(c) for c in subgoal_colours(names)]\nbar(marker_color=colours[0])"
    assert not said("analyses", drawn)
    assert not said("pipeline", "# seconds of wall-clock time, drawn with color='red'")
    asked = "import irl_lens.envs\nfrom irl_lens.envs.registry import GRID, make_world"
    assert not trespasses("pipeline", asked)
    lazy = "def f():\n    from irl_lens.analyses.report.report import write_report"
    assert trespasses("pipeline", lazy) and not trespasses("pipeline", at_start(lazy))
