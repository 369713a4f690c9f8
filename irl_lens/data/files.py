"""Trajectories on disk: one safetensors file, and a manifest saying where it came from.

The manifest has the world's configuration, the seed, the library versions and the SHA-256
of the data, and is sealed (:mod:`irl_lens.files.sealed`); reading checks both, so that a truncated
or edited file is refused.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from irl_lens.config.from_json import restore
from irl_lens.envs.registry import WorldConfig, world_values
from irl_lens.envs.trajectories import Trajectories
from irl_lens.files.sealed import read_sealed, write_sealed
from irl_lens.files.tensors import CheckpointError, read_bytes, write_bytes

AGAIN = "write the trajectories again"
"""What to do about a damaged file."""


def write_trajectories(
    folder: Path | str, trajectories: Trajectories, world: WorldConfig, seed: tuple[int, ...] | int
) -> None:
    """Writes ``trajectories.safetensors`` and then ``manifest.json`` into ``folder``.

    Args:
        folder: Made when it is missing.
        trajectories: What to write.
        world: The world they were played in.
        seed: The seed they were drawn from.
    """
    # np.ascontiguousarray would make a vector of a single number.
    arrays = {name: np.asarray(a, order="C") for name, a in trajectories.arrays().items()}
    data = save(arrays)
    write_bytes(Path(folder) / "trajectories.safetensors", data)
    manifest = {
        "world": world_values(world),
        "seed": seed,
        "trajectories": len(trajectories),
        "sha256": hashlib.sha256(data).hexdigest(),
        "versions": {"irl-lens": version("irl-lens"), "numpy": np.__version__},
    }
    write_sealed(Path(folder) / "manifest.json", "manifest", manifest)


def read_trajectories(folder: Path | str) -> tuple[Trajectories, WorldConfig]:
    """Reads what :func:`write_trajectories` wrote.

    Raises:
        CheckpointError: A file is missing, or not as it was written.
    """
    manifest = _manifest(folder)
    path = Path(folder) / "trajectories.safetensors"
    data = read_bytes(path, AGAIN)
    found = hashlib.sha256(data).hexdigest()
    if found != manifest["sha256"]:
        raise CheckpointError(
            f"{path} ({len(data)} bytes) has SHA-256 {found}, its manifest says "
            f"{manifest['sha256']}: it is truncated or was edited; {AGAIN}"
        )
    return Trajectories.from_arrays(load(data)), restore(WorldConfig, manifest["world"], "world")


def read_seed(folder: Path | str) -> tuple[int, ...] | int:
    """Reads the seed that :func:`write_trajectories` was given.

    Raises:
        CheckpointError: The manifest is missing or damaged.
    """
    seed = _manifest(folder)["seed"]
    return tuple(seed) if isinstance(seed, list) else seed


def _manifest(folder: Path | str) -> dict[str, Any]:
    return read_sealed(Path(folder) / "manifest.json", "manifest", AGAIN)
