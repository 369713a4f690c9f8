"""A kind of world of one's own: registered, written into files, and read back elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest

from irl_lens.config.from_json import restore
from irl_lens.config.overrides import changed
from irl_lens.config.presets import PRESETS, preset, register_preset
from irl_lens.config.schema import Preset
from irl_lens.config.validation import check_preset
from irl_lens.data.files import read_trajectories, write_trajectories
from irl_lens.envs import make_world, register_world, registry
from irl_lens.envs.registry import GRID, world_values
from irl_lens.errors import UserError
from irl_lens.runs.run import Run
from tests.point_world import PointConfig, PointWorld

POINT = replace(preset("smoke"), name="point", world=PointConfig(horizon=12))
ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Points are known for the length of a test."""
    others = {name: kind for name, kind in registry._KINDS.items() if kind.config != PointConfig}
    monkeypatch.setattr(registry, "_KINDS", others)
    monkeypatch.setattr("irl_lens.config.presets.PRESETS", dict(PRESETS))
    register_world("point", PointConfig, PointWorld)
    yield


@dataclass(frozen=True)
class Unknown:
    horizon: int = 3


@dataclass(frozen=True)
class Unkept:
    names: list[str]


def test_a_configuration_comes_back_from_json() -> None:
    values = json.loads(json.dumps(POINT.to_dict()))
    assert values["world"] | {"kind": "point", "horizon": 12} == values["world"]
    assert restore(Preset, values, "preset") == POINT


def test_settings_of_the_world_are_set_as_any_other() -> None:
    found = changed(POINT, ["world.horizon=9", "world.labelled=false"])
    assert found.world == PointConfig(9, labelled=False)
    with pytest.raises(UserError, match=r"world\.horizon = 'many'; take a whole number"):
        changed(POINT, ["world.horizon=many"])
    with pytest.raises(UserError, match=r"no setting 'world\.size'"):
        changed(POINT, ["world.size=9"])


def test_the_grid_is_written_as_it_always_was() -> None:
    assert world_values(GRID) == asdict(GRID)


def test_a_run_in_a_world_of_one_s_own_opens_again(tmp_path: Path) -> None:
    made = Run.create(tmp_path / "run", POINT, seed=1)
    assert Run.open(made.folder).preset == POINT
    assert Run.create(made.folder, POINT, seed=1).folder == made.folder
    with pytest.raises(UserError, match="not preset 'smoke'"):
        Run.create(made.folder, preset("smoke"), seed=1)


def test_demonstrations_keep_the_world_they_were_of(tmp_path: Path) -> None:
    batch = make_world(PointConfig(labelled=False)).demonstrate(3, seed=0)
    write_trajectories(tmp_path, batch, PointConfig(labelled=False), seed=0)
    again, config = read_trajectories(tmp_path)
    assert config == PointConfig(labelled=False) and again.subgoals is None
    assert again.arrays().keys() == batch.arrays().keys()
    assert (again.actions == batch.actions).all() and again.actions.dtype == batch.actions.dtype


def test_an_unregistered_configuration_is_named_with_the_remedy() -> None:
    with pytest.raises(UserError, match=r"register_world\(NAME, Unknown, MAKE\)"):
        check_preset(replace(POINT, world=Unknown()))


def test_a_world_that_lacks_something_says_what() -> None:
    class Half:
        horizon = 3

    register_world("half", Unknown, lambda config: Half())  # type: ignore[return-value, arg-type]
    with pytest.raises(UserError, match="makes a Half, which lacks actions, demonstrate"):
        make_world(Unknown())


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("a world", PointConfig, "take letters"),
        ("pinpad", PointConfig, "another kind of world 'pinpad'"),
        ("list", list, "no frozen dataclass"),
        ("again", PointConfig, "PointConfig is the configuration of the kind of world 'point'"),
        ("unkept", Unkept, r"Unkept\.names is annotated list\[str\]; take int, float"),
    ],
)
def test_what_cannot_be_registered(name: str, config: type, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        register_world(name, config, PointWorld)


def test_a_cell_that_is_run_again_registers_again() -> None:
    values = POINT.to_dict()
    again = type("PointConfig", (PointConfig,), {"__module__": PointConfig.__module__})
    register_world("point", dataclass(frozen=True)(again), PointWorld)
    assert type(restore(Preset, values, "preset").world) is again


def test_presets_of_one_s_own(tmp_path: Path) -> None:
    register_preset(POINT)
    assert preset("point") == POINT
    with pytest.raises(UserError, match="comes with irl-lens"):
        register_preset(replace(POINT, name="grid"))
    with pytest.raises(UserError, match="another preset 'point', set in a PointConfig"):
        register_preset(replace(POINT, world=GRID))
    with pytest.raises(UserError, match="a preset called 'my/point'; take letters"):
        register_preset(replace(POINT, name="my/point"))
    with pytest.raises(UserError, match=r"world\.horizon = 0\.5"):
        register_preset(replace(POINT, world=PointConfig(horizon=0.5)))  # type: ignore[arg-type]


MODULE = """
from dataclasses import replace
from irl_lens.config.presets import preset, register_preset
from irl_lens.envs import register_world
from beside import PointConfig, PointWorld

register_world("point", PointConfig, PointWorld)
register_preset(replace(preset("smoke"), name="point", world=PointConfig()))
"""


def _elsewhere(code: str, folder: Path, worlds: str | None) -> str:
    """What another process says, which knows of no world unless it is told."""
    env = os.environ | {"PYTHONPATH": str(ROOT)} | ({} if worlds is None else {VARIABLE: worlds})
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True
    )
    return done.stdout + done.stderr


VARIABLE = registry.VARIABLE
REGISTERS = """
from irl_lens.envs import register_world
from tests.point_world import PointConfig, PointWorld
register_world("pinpad", PointConfig, PointWorld)
"""
OPEN = "from irl_lens.runs.run import Run; print(Run.open('run').preset.world)"


def test_another_process_is_told_of_a_world_by_its_user_alone(tmp_path: Path) -> None:
    (tmp_path / "my_worlds.py").write_text(MODULE)
    (tmp_path / "beside.py").write_text("from tests.point_world import PointConfig, PointWorld")
    Run.create(tmp_path / "run", POINT, seed=0)
    refused = _elsewhere(OPEN, tmp_path, None)
    assert "no kind of world 'point' is known here" in refused
    assert "'tests.point_world'" in refused and f"{VARIABLE}=FILE.py" in refused
    assert str(POINT.world) in _elsewhere(OPEN, tmp_path, "my_worlds.py")
    chosen = "from irl_lens.config.presets import preset; print(preset('point').world)"
    assert "PointConfig(" in _elsewhere(chosen, tmp_path, "my_worlds.py")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (None, r"names broken_worlds\.py, and .*No such file .*; correct it"),
        ("import nowhere", "and No module named 'nowhere'; correct it"),
        ("def", "which is no Python at line 1"),
        ("\n{}['x']", r"which fails at .*broken_worlds\.py:2: KeyError: 'x'"),
        (REGISTERS, "there is another kind of world 'pinpad'"),
    ],
)
def test_a_file_of_worlds_that_fails_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str | None, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "broken_worlds.py")
    monkeypatch.setattr("sys.path", list(sys.path))
    if code is not None:
        (tmp_path / "broken_worlds.py").write_text(code)
    with pytest.raises(UserError, match=said):
        preset("none of mine")


def test_a_world_of_a_notebook_is_not_looked_for_in_a_module(tmp_path: Path) -> None:
    values = POINT.to_dict()
    values["world"] |= {"kind": "lost", "module": "__main__"}
    with pytest.raises(UserError, match=r"only pinpad, .*point; .* was a script or notebook"):
        restore(Preset, values, "preset")


def test_an_installed_package_announces_its_worlds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Run.create(tmp_path / "run", POINT, seed=0)
    (tmp_path / "my_worlds.py").write_text(MODULE)
    (tmp_path / "beside.py").write_text("from tests.point_world import PointConfig, PointWorld")
    about = tmp_path / "my_worlds-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my-worlds\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[irl_lens.worlds]\npoint = my_worlds\n")
    assert str(POINT.world) in _elsewhere(OPEN, tmp_path, None)
