"""Trajectories on disk: one safetensors file, and a manifest saying where it came from.

The manifest has the world's configuration, the seed, the library versions and the SHA-256
of the data; reading checks it, so a truncated or edited file is refused.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from irl_lens import __version__
from irl_lens.checkpoint import CheckpointError, read_json, write_bytes, write_json
from irl_lens.envs.trajectories import Trajectories
from irl_lens.envs.worlds import WorldConfig


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
    arrays = {name: np.ascontiguousarray(a) for name, a in trajectories.arrays().items()}
    data = save(arrays)
    write_bytes(Path(folder) / "trajectories.safetensors", data)
    manifest = {
        "world": asdict(world),
        "seed": seed,
        "trajectories": len(trajectories),
        "sha256": hashlib.sha256(data).hexdigest(),
        "versions": {"irl-lens": __version__, "numpy": np.__version__},
    }
    write_json(Path(folder) / "manifest.json", manifest)


def read_trajectories(folder: Path | str) -> tuple[Trajectories, WorldConfig]:
    """Reads what :func:`write_trajectories` wrote.

    Raises:
        CheckpointError: A file is missing, or the data is not what the manifest says.
    """
    manifest = read_json(Path(folder) / "manifest.json")
    path = Path(folder) / "trajectories.safetensors"
    if not path.is_file():
        raise CheckpointError(f"there is no file {path}; write the trajectories again")
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != manifest["sha256"]:
        raise CheckpointError(
            f"{path} ({len(data)} bytes) has SHA-256 {found}, its manifest says "
            f"{manifest['sha256']}: it is truncated or was edited; write it again"
        )
    return Trajectories.from_arrays(load(data)), WorldConfig(**manifest["world"])
