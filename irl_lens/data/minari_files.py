"""Trajectories as a data set of Minari's, and back, bit for bit.

An episode has the steps that happened:

    observations  what was seen before each action, and the last again: Minari counts on one more
    actions       what was done
    infos         policy, subgoals, visits, progress by step, of what is known
    options       task, and the world's own arrays
    rewards       0, and 1 at the end, where demonstrations are successes; not a number where they
                  were recorded, and nobody kept what there was

World, seed, tolerance and the SHA-256 of all arrays stand in the data set's metadata. Byte images
are written as they are (Minari would make JPEGs of them). Reading makes no environment: what a file
names is not imported.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from safetensors.numpy import save

from irl_lens.config.from_json import restore
from irl_lens.envs.contracts import has_recorded
from irl_lens.envs.protocol import World
from irl_lens.envs.registry import WorldConfig, make_world, world_values
from irl_lens.envs.spaces import ActionSpec, DiscreteActions, ObservationSpec
from irl_lens.envs.trajectories import BY_STEP, Trajectories
from irl_lens.errors import UserError
from irl_lens.files.json_files import read_json
from irl_lens.files.targets import make_folder, require_empty, temporary_of
from irl_lens.files.tensors import CheckpointError

KEY = "irl-lens"
"""Where Minari's metadata has what is ours."""
LABELLED = tuple(name for name in BY_STEP if name not in ("observations", "actions", "mask"))
"""What is kept as infos."""
LARGEST = 60_000
"""Bytes of one option of an episode, which HDF5 keeps in an object's header."""
NAMED = re.compile(r"[-\w]+-v\d+")


def write_minari(
    folder: Path | str, trajectories: Trajectories, world: WorldConfig, seed: tuple[int, ...] | int
) -> None:
    """Writes trajectories as a Minari data set, whole or not at all.

    ``minari.MinariDataset(folder / "data")`` opens it, and ``minari.load_dataset`` by its name if
    it is below Minari's own folder, ``~/.minari/datasets`` or ``MINARI_DATASETS_PATH``.

    Args:
        folder: Not there yet, or empty; called as Minari calls data sets, ``NAME-v0``.
        trajectories: What to write; what stands on padding is left out.
        world: The world they were played in.
        seed: The seed they were drawn from.

    Raises:
        UserError: Minari is not installed, the folder is not empty or called otherwise, or an array
            of the world's own is too large.
    """
    require_minari()
    folder = Path(folder)
    _check_target(folder)
    rows = _without_padding(trajectories)
    _check_sizes(rows)
    about = {"world": world_values(world), "seed": seed, "sha256": _hash(rows)}
    about |= {"tolerance": rows.tolerance}
    make_folder(folder)
    temporary = temporary_of(folder).absolute()  # Minari would join a relative one to itself
    try:
        _write(temporary / "data", rows, make_world(world), _identity(folder), about)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_minari(folder: Path | str) -> tuple[Trajectories, WorldConfig, tuple[int, ...] | int]:
    """Reads what :func:`write_minari` wrote.

    Returns:
        The trajectories, padded with zeros (subgoals and visits with -1); the world's
        configuration; the seed.

    Raises:
        UserError: Minari is not installed, or another program wrote the data set.
        CheckpointError: A file is missing, or not as it was written.
    """
    require_minari()
    data, again = Path(folder) / "data", "write the data set again"
    metadata = read_json(data / "metadata.json", again)
    if not isinstance(metadata, dict) or not isinstance(about := metadata.get(KEY), dict):
        raise UserError(
            f"{folder} is of another program than irl-lens; give its episodes to a world: "
            "GymnasiumWorld(.., episodes=list(minari.MinariDataset(..)))"
        )
    try:
        found = _read(data, metadata, about)
        same = _hash(found) == about["sha256"]
        seed = tuple(about["seed"]) if isinstance(about["seed"], list) else about["seed"]
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AssertionError) as error:
        raise CheckpointError(f"{folder} is damaged, {error}; {again}") from error
    if not same:
        raise CheckpointError(f"{folder} has another SHA-256 than was written; {again}")
    return found, restore(WorldConfig, about["world"], "world"), seed


def require_minari() -> None:
    """Makes sure that Minari is there.

    Raises:
        UserError: It is not.
    """
    if missing := [name for name in ("minari", "h5py", "PIL") if find_spec(name) is None]:
        raise UserError(f'Minari data sets need {missing[0]}: pip install "irl-lens[minari]"')


def _write(
    data: Path, rows: Trajectories, world: World, identity: str, about: dict[str, Any]
) -> None:
    from minari import __version__
    from minari.dataset.minari_storage import MinariStorage

    data.mkdir(parents=True)
    storage = MinariStorage.new(
        data,
        observation_space=_observations(world.observation),
        action_space=_actions(world.actions),
        data_format="hdf5",
        jpeg_encoding=False,
    )
    named = {"dataset_id": identity, "minari_version": __version__, "algorithm_name": "expert"}
    storage.update_metadata(named | {KEY: about})
    storage.update_episodes(_episodes(rows, has_recorded(world)))


def _read(data: Path, metadata: dict[str, Any], about: dict[str, Any]) -> Trajectories:
    from minari.dataset.minari_storage import MinariStorage

    if not metadata.keys() >= {"observation_space", "action_space"}:
        raise KeyError("spaces are missing")  # Minari would import an environment to have them
    storage = MinariStorage.read(data)
    count = range(storage.total_episodes)
    known = [storage.get_episodes(count), storage.get_episode_metadata(count)]
    return _stacked(list(zip(*known, strict=True)), about["tolerance"])


def _episodes(rows: Trajectories, recorded: bool) -> Iterator[Any]:
    from minari.data_collector import EpisodeBuffer

    for row, steps in enumerate(rows.lengths.tolist()):
        ended = np.arange(steps) == steps - 1
        # Minari writes arrays, though it declares lists that are grown.
        yield EpisodeBuffer(
            observations=np.append(  # type: ignore[arg-type]
                rows.observations[row, :steps], rows.observations[row, None, steps - 1], axis=0
            ),
            actions=rows.actions[row, :steps],  # type: ignore[arg-type]
            rewards=np.full(steps, np.nan) if recorded else ended.astype(float),  # type: ignore[arg-type]
            terminations=ended & (not recorded),
            truncations=ended & recorded,
            infos={n: a[row, :steps] for n in LABELLED if (a := getattr(rows, n)) is not None},
            options=_options(rows, row),
        )


def _options(rows: Trajectories, row: int) -> dict[str, Any]:
    tasks = {} if rows.tasks is None else {"tasks": rows.tasks[row]}
    return tasks | {"extras": {name: array[row] for name, array in rows.extras.items()}}


def _stacked(episodes: list[Any], tolerance: int) -> Trajectories:
    """One batch of Minari's episodes, each with its metadata."""
    parts = [
        {"observations": episode["observations"][:-1], "actions": episode["actions"]}
        | episode["infos"]
        for episode, _ in episodes
    ]
    lengths = np.array([len(part["actions"]) for part in parts])
    mask = np.arange(lengths.max()) < lengths[:, None]
    arrays = {"mask": mask, "tolerance": np.array(tolerance)}
    for name, first in parts[0].items():
        arrays[name] = np.full((*mask.shape, *first.shape[1:]), _padding(name), first.dtype)
        arrays[name][mask] = np.concatenate([part[name] for part in parts])
    options = [told.get("options", {}) for _, told in episodes]
    if "tasks" in options[0]:
        arrays["tasks"] = np.stack([option["tasks"] for option in options])
    for name in options[0].get("extras", {}):
        arrays[f"extras.{name}"] = np.stack([option["extras"][name] for option in options])
    return Trajectories.from_arrays(arrays)


def _without_padding(given: Trajectories) -> Trajectories:
    """The same with all padding alike, and as long as the longest."""
    arrays = given.rows(slice(None)).arrays()
    mask = arrays["mask"]
    for name in arrays.keys() & set(BY_STEP) - {"mask"}:
        shape = mask.shape + (1,) * (arrays[name].ndim - 2)
        arrays[name] = np.where(mask.reshape(shape), arrays[name], _padding(name)).astype(
            arrays[name].dtype
        )
    return Trajectories.from_arrays(arrays)


def _padding(name: str) -> int:
    return -1 if name in ("subgoals", "visits") else 0


def _hash(rows: Trajectories) -> str:
    arrays = {name: np.ascontiguousarray(array) for name, array in rows.arrays().items()}
    return hashlib.sha256(save(arrays)).hexdigest()


def _observations(spec: ObservationSpec) -> spaces.Box:
    ends = spec.offsets + spec.sizes - 1
    infinite = np.full(len(spec.reals), np.inf)
    low, high = np.append(spec.offsets, -infinite), np.append(ends, infinite)
    return spaces.Box(low.astype(spec.dtype), high.astype(spec.dtype), dtype=spec.dtype)


def _actions(spec: ActionSpec) -> spaces.Space:
    if isinstance(spec, DiscreteActions):
        return spaces.Discrete(spec.n)
    return spaces.Box(spec.low, spec.high, spec.shape, spec.dtype)


def _identity(folder: Path) -> str:
    """What Minari calls the data set: where it is below Minari's folder, or its own name."""
    # Asking Minari for its folder would make it.
    root = Path(os.environ.get("MINARI_DATASETS_PATH") or Path.home() / ".minari" / "datasets")
    path = folder.resolve()
    below = path.is_relative_to(root.resolve())
    return path.relative_to(root.resolve()).as_posix() if below else path.name


def _check_target(folder: Path) -> None:
    if not NAMED.fullmatch(folder.resolve().name):
        raise UserError(f"{folder}: Minari's data sets end in a version; give a name like grid-v0")
    require_empty(folder)


def _check_sizes(rows: Trajectories) -> None:
    if not len(rows):
        raise UserError("no trajectories; give at least one")
    for name, array in rows.extras.items():
        if array[0].nbytes > LARGEST:
            raise UserError(
                f"extras {name!r} of {array[0].nbytes} bytes a trajectory, where Minari's format "
                f"keeps {LARGEST}; write an irl-lens data set, or leave it out"
            )
