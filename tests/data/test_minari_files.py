"""Trajectories as Minari data sets: exactly what was written comes back, or an error."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import minari
import numpy as np
import pytest
from minari.data_collector import EpisodeBuffer
from minari.dataset.minari_storage import MinariStorage

import irl_lens
from irl_lens.data import minari_files
from irl_lens.data.files import read_seed, read_trajectories
from irl_lens.data.minari_files import LARGEST, read_minari, write_minari
from irl_lens.envs import GymnasiumWorld
from irl_lens.envs.registry import ANT, SMALL_GRID, WorldConfig, make_world
from irl_lens.envs.trajectories import BY_STEP, Trajectories
from irl_lens.errors import UserError
from irl_lens.files.tensors import CheckpointError
from tests.corridor_world import CorridorConfig, recorded, recorded_world
from tests.point_world import PointConfig

WORLDS = {
    "grid": SMALL_GRID,
    "ant": ANT,
    "points": PointConfig(labelled=False),
    "corridor": CorridorConfig(),
}


def assert_same(mine: Trajectories, theirs: Trajectories) -> None:
    """All that happened is the same, to the bit."""
    one, other = mine.arrays(), theirs.arrays()
    assert one.keys() == other.keys()
    for name, array in one.items():
        there, again = (
            (x[t.mask] if name in BY_STEP else x) for x, t in ((array, mine), (other[name], theirs))
        )
        assert there.dtype == again.dtype and there.shape == again.shape
        assert there.tobytes() == again.tobytes(), name
    np.testing.assert_array_equal(mine.lengths, theirs.lengths)


@pytest.fixture(scope="module", params=WORLDS, ids=[*WORLDS])
def written(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Trajectories, WorldConfig]:
    config = WORLDS[request.param]
    batch = make_world(config).demonstrate(4, seed=7)
    folder = tmp_path_factory.mktemp("minari") / f"{request.param}-v0"
    write_minari(folder, batch, config, (7, 1))
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    return folder, batch, config


def test_all_that_happened_comes_back(written: tuple[Path, Trajectories, WorldConfig]) -> None:
    folder, batch, config = written
    again, world, seed = read_minari(folder)
    assert (world, seed) == (config, (7, 1))
    assert_same(again, batch)
    off = ~again.mask
    assert not again.observations[off].any() and not again.actions[off].any()
    assert again.subgoals is None or (again.subgoals[off] == -1).all()


def test_minari_reads_it_as_its_own(written: tuple[Path, Trajectories, WorldConfig]) -> None:
    folder, batch, _ = written
    dataset = minari.MinariDataset(folder / "data")
    assert dataset.spec.dataset_id == folder.name and dataset.total_episodes == len(batch)
    for row, episode in enumerate(dataset.iterate_episodes()):
        steps = batch.lengths[row]
        assert len(episode) == steps and len(episode.observations) == steps + 1
        assert all(dataset.observation_space.contains(seen) for seen in episode.observations)
        # Real actions are as they were drawn; what is beyond the limits, environments clip.
        within = dataset.action_space
        low, high = getattr(within, "low", None), getattr(within, "high", None)
        assert all(within.contains(np.clip(action, low, high)) for action in episode.actions)
        assert episode.terminations.tolist() == [False] * (steps - 1) + [True]
        assert episode.rewards.tolist() == [0.0] * (steps - 1) + [1.0]
    assert not dataset.storage.jpeg_encoding


def test_a_bit_that_is_not_as_written_is_refused(tmp_path: Path) -> None:
    batch = make_world(SMALL_GRID).demonstrate(2, seed=0)
    write_minari(tmp_path / "whole-v0", batch, SMALL_GRID, 0)

    def copy(name: str) -> Path:
        return Path(shutil.copytree(tmp_path / "whole-v0", tmp_path / name))

    import h5py

    folder = copy("changed")
    with h5py.File(folder / "data" / "main_data.hdf5", "a") as file:
        file["episode_1/infos/policy"][0, 0] += 0.5  # type: ignore[index]
    with pytest.raises(CheckpointError, match="another SHA-256"):
        read_minari(folder)
    folder = copy("cut")
    path = folder / "data" / "main_data.hdf5"
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(CheckpointError, match="is damaged"):
        read_minari(folder)
    folder = copy("edited")
    path = folder / "data" / "metadata.json"
    told = json.loads(path.read_text())
    for name in ("observation_space", "total_episodes"):
        path.write_text(json.dumps({k: v for k, v in told.items() if k != name}))
        with pytest.raises(CheckpointError, match="is damaged"):
            read_minari(folder)
    path.write_text("{")
    with pytest.raises(CheckpointError, match="not JSON"):
        read_minari(folder)


def test_reading_imports_nothing_that_the_file_names(tmp_path: Path) -> None:
    write_minari(tmp_path / "grid-v0", make_world(SMALL_GRID).demonstrate(1, 0), SMALL_GRID, 0)
    path = tmp_path / "grid-v0" / "data" / "metadata.json"
    told = json.loads(path.read_text())
    (tmp_path / "trap.py").write_text("raise SystemExit('imported')")
    spec = {"id": "Trap-v0", "entry_point": f"{tmp_path}/trap:Trap"}
    path.write_text(json.dumps({k: v for k, v in told.items() if "space" not in k} | spec))
    with pytest.raises(CheckpointError, match="spaces are missing"):
        read_minari(tmp_path / "grid-v0")


def test_what_cannot_be_kept_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    batch = make_world(SMALL_GRID).demonstrate(2, seed=0)
    with pytest.raises(UserError, match="end in a version"):
        write_minari(tmp_path / "grid", batch, SMALL_GRID, 0)
    large = replace(batch, extras={"map": np.zeros((2, LARGEST + 1), np.uint8)})
    with pytest.raises(UserError, match="'map' of 60001 bytes"):
        write_minari(tmp_path / "grid-v0", large, SMALL_GRID, 0)
    with pytest.raises(UserError, match="at least one"):
        write_minari(tmp_path / "grid-v0", batch.rows(slice(0)), SMALL_GRID, 0)
    assert not list(tmp_path.iterdir())
    (tmp_path / "grid-v0").mkdir()
    (tmp_path / "grid-v0" / "thesis.txt").touch()
    with pytest.raises(UserError, match="not empty"):
        write_minari(tmp_path / "grid-v0", batch, SMALL_GRID, 0)


def test_nothing_is_left_of_a_data_set_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = make_world(SMALL_GRID).demonstrate(2, seed=0)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(MinariStorage, "update_metadata", full)
    with pytest.raises(OSError, match="No space"):
        write_minari(tmp_path / "grid-v0", batch, SMALL_GRID, 0)
    assert not list(tmp_path.iterdir())


def test_without_minari_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minari_files, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"irl-lens\[minari\]"):
        read_minari(tmp_path)


def test_recorded_rewards_are_not_made_up(tmp_path: Path) -> None:
    batch = recorded_world(recorded(10, labelled=True), subgoals=("key", "lever", "door"))
    episodes = minari_files._episodes(batch.demonstrate(2, seed=0), recorded=True)
    for episode in episodes:
        assert np.isnan(episode.rewards).all() and not any(episode.terminations)
        assert episode.truncations[-1]


def test_data_sets_are_converted_there_and_back(tmp_path: Path) -> None:
    data = irl_lens.demonstrate("smoke", out=tmp_path / "data", episodes=3, seed=5)
    there = irl_lens.convert(data, out=tmp_path / "smoke-v1")
    back = irl_lens.convert(there, out=tmp_path / "back")
    (batch, world), (again, same) = read_trajectories(data), read_trajectories(back)
    assert world == same and read_seed(data) == read_seed(back) == 5
    assert_same(again, batch)
    twice = irl_lens.convert(irl_lens.convert(back, out=tmp_path / "b-v0"), out=tmp_path / "twice")
    name = "trajectories.safetensors"
    assert (twice / name).read_bytes() == (back / name).read_bytes()


def test_a_relative_folder_is_one_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = irl_lens.demonstrate("smoke", out="data", episodes=2)
    back = irl_lens.convert(irl_lens.convert(data, out="below/smoke-v0"), out="back")
    assert_same(read_trajectories(back)[0], read_trajectories(data)[0])
    assert {path.name for path in tmp_path.iterdir()} == {"data", "below", "back"}


@pytest.mark.parametrize("preset", ["smoke", "ant"])
def test_progress_is_shown_and_the_data_is_that_of_the_world(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], preset: str
) -> None:
    data = irl_lens.demonstrate(preset, out=tmp_path / "data", episodes=2, seed=5)
    assert capsys.readouterr().err.splitlines()[-1] == "demonstrations 2/2"
    batch, world = read_trajectories(data)
    assert_same(batch, make_world(world).demonstrate(2, seed=5))


def test_below_minaris_own_folder_it_is_found_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    data = irl_lens.demonstrate("smoke", out=tmp_path / "data", episodes=2)
    irl_lens.convert(data, out=tmp_path / "mine" / "smoke-v0")
    assert minari.load_dataset("mine/smoke-v0").total_episodes == 2
    assert list(minari.list_local_datasets(prefix="mine")) == ["mine/smoke-v0"]


def test_wrong_sources_and_targets_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no preset 'smok'"):
        irl_lens.demonstrate("smok", out=tmp_path / "a")
    with pytest.raises(UserError, match="--episodes 0"):
        irl_lens.demonstrate("smoke", out=tmp_path / "a", episodes=0)
    with pytest.raises(UserError, match="neither manifest"):
        irl_lens.convert(tmp_path, out=tmp_path / "a")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    with pytest.raises(UserError, match="not empty"):
        irl_lens.demonstrate("smoke", out=tmp_path / "full")
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_a_data_set_of_another_program_is_for_a_world_of_one_s_own(tmp_path: Path) -> None:
    world = make_world(CorridorConfig())
    env = recorded_world(recorded(1, labelled=False))._make()
    shown = [dict(episode) for episode in recorded(20, labelled=False)]
    storage = MinariStorage.new(tmp_path, env.observation_space, env.action_space)
    storage.update_metadata({"dataset_id": "other-v0", "minari_version": minari.__version__})
    storage.update_episodes(
        EpisodeBuffer(
            observations=episode["observations"],
            actions=episode["actions"],
            rewards=[0.0] * len(episode["actions"]),
            terminations=[False] * len(episode["actions"]),
            truncations=[False] * len(episode["actions"]),
        )
        for episode in shown
    )
    (tmp_path / "set").mkdir()
    for path in ("metadata.json", "main_data.hdf5"):
        (tmp_path / "set" / "data").mkdir(exist_ok=True)
        shutil.copy(tmp_path / path, tmp_path / "set" / "data" / path)
    with pytest.raises(UserError, match="another program"):
        read_minari(tmp_path / "set")
    theirs = list(minari.MinariDataset(tmp_path / "set" / "data"))
    found = GymnasiumWorld(lambda: env, world.horizon, episodes=theirs)
    own = GymnasiumWorld(lambda: env, world.horizon, episodes=shown)
    assert_same(found.demonstrate(16, seed=0), own.demonstrate(16, seed=0))
