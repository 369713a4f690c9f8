"""Streams and files of trajectories."""

import numpy as np
import pytest

from irl_lens.data.ahead import AheadDemonstrations
from irl_lens.data.demonstrations import Demonstrations
from irl_lens.data.files import read_trajectories, write_trajectories
from irl_lens.data.reused import SPACING, ReusedDemonstrations
from irl_lens.envs.registry import PinpadConfig, make_world
from irl_lens.envs.trajectories import Trajectories
from irl_lens.files.tensors import CheckpointError
from tests.corridor_world import CorridorConfig, recorded, recorded_world

CONFIG = PinpadConfig(size=5, colours=4, walls=2, horizon=40, grammar="paper-ant")
WORLD = make_world(CONFIG)


def test_a_stream_is_a_function_of_seed_purpose_and_index():
    stream = Demonstrations(WORLD, 0, "base", 8)
    np.testing.assert_array_equal(stream[3].observations, stream[3].observations)
    others = [
        stream[4],
        Demonstrations(WORLD, 1, "base", 8)[3],
        Demonstrations(WORLD, 0, "probe", 8)[3],
    ]
    for other in others:
        assert not np.array_equal(stream[3].extras["objects"], other.extras["objects"])


def test_a_stream_made_ahead_is_the_same_in_any_order():
    stream = Demonstrations(WORLD, 0, "base", 8)
    ahead = AheadDemonstrations(stream, 5)
    for index in (0, 1, 2, 4, 4, 0, 3):
        np.testing.assert_array_equal(ahead[index].observations, stream[index].observations)


def test_a_stream_used_several_times_is_a_function_of_the_step():
    stream = Demonstrations(WORLD, 0, "base", 4)
    seen = {i: str(stream[i].extras["objects"]) for i in range(20)}
    found = {objects: i for i, objects in seen.items()}
    reused = ReusedDemonstrations(stream, 60, 3)
    order = [found[str(reused[step].extras["objects"])] for step in range(60)]
    assert order[::3] == list(range(20))  # a fresh one every third step
    assert order[57:] == [19, 19 - SPACING, 19 - 2 * SPACING]
    assert [reused.is_fresh(step) for step in range(4)] == [True, False, False, True]
    assert order[:12] == [0, 0, 0, 1, 1, 1, 2, 0, 1, 3, 3, 3]  # those there are take turns
    begun_anew = ReusedDemonstrations(stream, 60, 3)
    assert [found[str(begun_anew[i].extras["objects"])] for i in range(41, 60)] == order[41:]
    once = ReusedDemonstrations(stream, 20, 1)
    assert [found[str(once[i].extras["objects"])] for i in range(20)] == list(range(20))


def test_what_cannot_be_made_is_said_when_it_is_asked_for():
    ahead = AheadDemonstrations(Demonstrations(WORLD, 0, "base", 8, epsilon=2), 5)
    for _ in range(2):
        with pytest.raises(ValueError, match="epsilon 2"):
            ahead[1]


@pytest.mark.parametrize("shape", [(), (1,)])  # as it is, and as it was written at first
def test_the_tolerance_is_read_back(shape: tuple[int, ...]) -> None:
    arrays = WORLD.demonstrate(2, seed=0).arrays() | {"tolerance": np.full(shape, 3)}
    assert Trajectories.from_arrays(arrays).tolerance == 3


def test_chunks_hold_every_row_once_with_little_padding():
    batch = Demonstrations(WORLD, 0, "base", 50)[0]
    chunks = batch.chunks(8)
    assert sum(map(len, chunks)) == 50
    assert sum(int(c.mask.sum()) for c in chunks) == int(batch.mask.sum())
    assert all(c.mask.shape[1] == c.lengths.max() for c in chunks)
    computed = sum(c.mask.size for c in chunks)
    assert computed < batch.mask.size
    assert int(batch.mask.sum()) / computed > 0.8


def test_boundaries_are_where_the_subgoal_changes():
    batch = Demonstrations(WORLD, 0, "base", 20)[0]
    assert not batch.boundaries()[:, 0].any()
    np.testing.assert_array_equal(batch.boundaries().sum(1), 2)


def test_files_round_trip(tmp_path):
    batch = Demonstrations(WORLD, 0, "base", 8)[0]
    write_trajectories(tmp_path, batch, CONFIG, 0)
    again, config = read_trajectories(tmp_path)
    assert config == CONFIG
    for name in ("observations", "actions", "mask", "subgoals", "visits", "progress", "tasks"):
        np.testing.assert_array_equal(getattr(again, name), getattr(batch, name))
    np.testing.assert_array_equal(again.extras["objects"], batch.extras["objects"])


def test_a_truncated_file_is_refused(tmp_path):
    write_trajectories(tmp_path, Demonstrations(WORLD, 0, "base", 8)[0], CONFIG, 0)
    path = tmp_path / "trajectories.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match="truncated or was edited"):
        read_trajectories(tmp_path)
    path.unlink()
    with pytest.raises(CheckpointError, match="no file"):
        read_trajectories(tmp_path)


@pytest.mark.parametrize("labelled", [True, False])
def test_recorded_episodes_are_written_and_shown_again(labelled, tmp_path):
    names = {"subgoals": ("key", "lever", "door")} if labelled else {}
    shown = recorded_world(recorded(50, labelled), **names).demonstrate(99, seed=0)
    write_trajectories(tmp_path, shown, CorridorConfig(), seed=0)
    again = recorded_world(read_trajectories(tmp_path)[0], **names).demonstrate(99, seed=0)
    assert len(shown) == 40 and len(again) == 32  # a tenth each to fit and to test, at every turn
    every = {x.tobytes() for x in shown.observations}
    assert all(x.tobytes() in every for x in again.observations)
