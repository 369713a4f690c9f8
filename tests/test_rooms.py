"""Who may know what: boards are known to ``envs`` alone, and imports point one way."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import resolve_name
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

ROOT = Path(__file__).parents[1]
ROOMS = (
    "arrays", "errors", "progress", "processes", "envs", "hooks", "files", "config", "data",
    "models", "runs", "training", "rl", "conformance", "analyses", "commands", "__init__", "cli",
    "__main__",
)  # fmt: skip
"""The rooms of ``irl_lens``, lowest first: each may import those before it."""

INTERFACE = tuple(
    f"irl_lens.envs.{module}"
    for module in (
        "contracts",
        "practice",
        "protocol",
        "registry",
        "scenes",
        "spaces",
        "trajectories",
    )
)
"""All that is seen of ``envs`` from outside."""

LIBRARIES = {
    "envs": ("torch", "transformer_lens", "plotly"),
    "hooks": ("gymnasium", "mujoco", "plotly"),
    "pipeline": ("plotly",),
}
"""Libraries that a room does without."""

ALLOWED = {
    "envs": ("irl_lens.envs", "irl_lens.arrays", "irl_lens.errors"),
    "hooks": ("irl_lens.hooks",),
}
"""All that some rooms may import of ours; others may import what is before them."""

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
            name = path.relative_to(ROOT).with_suffix("").parts
            if folder != "irl_lens":
                yield folder, path
            elif name[1] not in ("hooks", "analyses"):
                yield name[1], path


def kind_of(room: str) -> str:
    """What the room is subject to: ``pipeline`` but for the rooms with rules of their own."""
    return room if room in ("envs", "hooks", "analyses") else "pipeline"


def module_of(path: Path) -> str:
    """The dotted name under which a source file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "irl_lens" else ("irl_lens", *parts)
    return ".".join(parts).removesuffix(".__init__")


def package_of(path: Path) -> str:
    """The package that a source file is imported in, as relative imports count it."""
    module = module_of(path)
    return module if path.name == "__init__.py" else module.rpartition(".")[0]


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


def within(name: str, packages: Iterable[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def may_import(room: str, name: str) -> bool:
    """Whether a file of the room may import a dotted name."""
    kind = kind_of(room)
    if within(name, LIBRARIES.get(kind, ())):
        return False
    # The package itself may be imported by anyone: that registers with Gymnasium.
    if not within(name, ["irl_lens"]) or name in ("irl_lens", "irl_lens.envs"):
        return name != "irl_lens" or kind not in ALLOWED
    if kind in ALLOWED:
        return within(name, ALLOWED[kind])
    if within(name, ["irl_lens.envs"]):
        return within(name, INTERFACE)
    other = name.split(".")[1]
    return other not in ROOMS or ROOMS.index(other) <= ROOMS.index(room)


def trespasses(room: str, source: str, package: str = "irl_lens") -> list[str]:
    """Imports that the room may not make."""
    return [name for name in imports(source, package) if not may_import(room, name)]


def graph() -> dict[str, set[str]]:
    """Which of our modules each of our modules imports, wherever in it, and for types as well."""
    paths = {module_of(path): path for _, path in sources()}
    found: dict[str, set[str]] = {}
    for module, path in paths.items():
        named = imports(path.read_text(), package_of(path))
        known = (name if name in paths else name.rpartition(".")[0] for name in named)
        found[module] = {name for name in known if name in paths} - {module}
    return found


def circles(imported: Mapping[str, set[str]]) -> list[list[str]]:
    """Groups of modules of which each imports each other, directly or by way of the rest."""
    names = list(imported)
    edges = [(names.index(a), names.index(b)) for a in names for b in imported[a]]
    matrix = coo_array((np.ones(len(edges)), np.transpose(edges)), (len(names),) * 2)
    _, labels = connected_components(matrix, connection="strong")
    groups = [np.flatnonzero(labels == group) for group in range(labels.max() + 1)]
    return [[names[i] for i in group] for group in groups if len(group) > 1]


def said(room: str, source: str) -> list[str]:
    """Words that the room may not use."""
    pattern = WORDS.get(room, r"(?!)")
    return [found[0] for found in re.finditer(pattern, source, flags=re.IGNORECASE)]


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_one_way(room: str) -> None:
    found = {}
    for where, path in sources():
        text = path.read_text()
        if where == room and (names := trespasses(room, text, package_of(path))):
            found[str(path)] = names
    assert not found


@pytest.mark.parametrize("room", WORDS)
def test_boards_are_spoken_of_in_envs_alone(room: str) -> None:
    texts = {path: path.read_text() for where, path in sources() if kind_of(where) == room}
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
        ("config", "from irl_lens.envs.pinpad.world import PinpadWorld"),
        ("models", "from irl_lens.envs import bayes, board"),
        ("rl", "import irl_lens.envs.pinpad.planner as planner"),
        ("runs", "STAGES = {'draw': 'irl_lens.analyses.report.report:build_report'}"),
        ("models", "def f():\n    from irl_lens.training.loop import train"),
        ("training", "from irl_lens.rl.runner import RolloutRunner"),
        ("rl", "import plotly.graph_objects as go"),
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
    assert not trespasses("config", asked)
    assert not trespasses("cli", "def f():\n    from irl_lens.analyses.report import report")


def test_modules_import_each_other_in_no_circle() -> None:
    assert circles(graph()) == []


def test_circles_are_seen() -> None:
    imported = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": {"e"}, "e": set()}
    assert circles(imported) == [["a", "b", "c"]]
