"""This version beside that of commit 8807201, unpacked from the repository's own history.

    run.minutes_vs_8807201             minutes of a whole run of ``grid``, from a few steps a stage
    rollout.b256.speedup_vs_8807201    cached decoding of 256 rows

The same scripts run in turn with either version first on ``PYTHONPATH``, on the processor.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.measuring import MissingError, Setting, Values, ratios

EARLIER = "8807201"
HERE = Path(__file__).resolve().parents[1]


def measure_decoding(setting: Setting) -> Values:
    """Seconds of decoding there over those here.

    Raises:
        MissingError: The history is not here.
    """
    sizes = ("--preset", "smoke", "--rows", "4", "--steps", "8") if setting.small else ()
    told = (*sizes, "--rounds", str(setting.rounds), "--threads", str(torch.get_num_threads()))
    with earlier() as there:
        script = str(HERE / "benchmarks/decoding.py")
        seconds = [_answer(folder, script, *told) for folder in (there, HERE)]
    return {"rollout.b256.speedup_vs_8807201": ratios(*seconds)}


def measure_run(setting: Setting) -> Values:
    """Minutes of all stages of both here over those there, each of its own bundled model.

    Raises:
        MissingError: The history is not here.
    """
    threads, steps = str(torch.get_num_threads()), "1" if setting.small else "3"
    with earlier() as there:
        told = ("grid", "--steps", steps, "--threads", threads, "--rounds", "1")
        script = str(HERE / "benchmarks/run.py")
        stages = _answer(HERE, script, *told, "--against", str(there))["stages"].values()
    here, before = (sum(stage[key] for stage in stages) for key in ("minutes", "minutes_there"))
    return {"run.minutes_vs_8807201": [here / before]}


@contextmanager
def earlier() -> Iterator[Path]:
    """Unpacks the earlier version for as long as it is needed.

    Raises:
        MissingError: The history is not here.
    """
    command = ["git", "-C", str(HERE), "archive", EARLIER]
    packed = subprocess.run(command, capture_output=True)
    if packed.returncode:
        raise MissingError(f"git fetch --unshallow, as commit {EARLIER} is not in this checkout")
    with TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
            archive.extractall(folder, filter="data")
        yield Path(folder)


def _answer(version: Path, script: str, *told: str) -> Any:
    environment = os.environ | {"PYTHONPATH": str(version), "IRL_LENS_DEVICE": "cpu"}
    command = [sys.executable, script, *told]
    said = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(said.stdout)
