"""What a finished stage consists of, each file checked as it is read.

    result.json   stage, result, seconds, made_with, files {NAME: SHA-256 of its bytes}

``result.json`` is sealed (:mod:`irl_lens.files.sealed`) and written last. Among the files is the
``result.json`` of each stage within the stage, and so all that they consist of. The files of a
record are those without weights.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from irl_lens.files.sealed import read_sealed, sealed
from irl_lens.files.tensors import CheckpointError, read_bytes, unpack_tensors, write_bytes

LOG, WEIGHTS, ARRAYS, RESULT = (
    "metrics.jsonl",
    "weights.safetensors",
    "arrays.safetensors",
    "result.json",
)
TENSORS = WEIGHTS, ARRAYS


@dataclass(frozen=True)
class Finished:
    """A finished stage.

    Attributes:
        folder: Where its files are.
        made: The content of ``result.json``.
        remedy: What to do when a file is missing or damaged.
    """

    folder: Path
    made: dict[str, Any]
    remedy: str

    @classmethod
    def read(cls, folder: Path, remedy: str) -> Finished:
        """Reads ``result.json``.

        Raises:
            CheckpointError: If it is damaged, or that of another stage.
        """
        path = folder / RESULT
        made = read_sealed(path, "result", remedy)
        if made["stage"] != folder.name:
            raise CheckpointError(f"{path} is of the stage {made['stage']!r}; {remedy}")
        return cls(folder, made, remedy)

    def file(self, name: str) -> bytes:
        """The content of one of its files, as it was when the stage finished.

        Raises:
            CheckpointError: If it is missing or damaged, or the stage has none of that name.
        """
        if name not in self.made["files"]:
            lacks = "weights" if name in TENSORS else name
            raise CheckpointError(
                f"{self.folder} is a record, without {lacks}; use the run that it was made of"
                if WEIGHTS not in self.made["files"]
                else f"{self.folder} has no {name}; it has {', '.join(self.made['files'])}"
            )
        path = self.folder / name
        data = read_bytes(path, self.remedy)
        if _hash(data) != self.made["files"][name]:
            raise CheckpointError(
                f"{path} ({len(data)} bytes) is damaged, or of another run: its SHA-256 is not "
                f"that in {RESULT}; {self.remedy}"
            )
        return data

    def files(self) -> dict[str, bytes]:
        """The content of all of its files by name, ``result.json`` last."""
        names = [*self.made["files"], RESULT]
        return {n: self.file(n) if n != RESULT else read_bytes(self.folder / n) for n in names}

    def tensors(self, name: str) -> dict[str, Tensor]:
        """Reads one of its files as tensors."""
        return unpack_tensors(self.file(name))

    @property
    def result(self) -> dict[str, Any]:
        """What came out of the stage; a number that is missing is NaN."""
        return _numbers(self.made["result"])


def mark_finished(folder: Path, made: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    """Writes ``result.json``, which marks a stage as finished.

    Args:
        folder: The stage's folder.
        made: ``stage``, ``result``, ``seconds`` and ``made_with``.
        files: The content of all its files by name; they are there already.
    """
    hashes = {name: _hash(data) for name, data in files.items()}
    write_bytes(folder / RESULT, sealed("result", {**made, "files": hashes}))


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    return math.nan if value is None else value
