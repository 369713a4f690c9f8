"""How cost grows with rows, length, layers, colours and swept cells: seconds, and memory on top.

    rows      cached decoding of 40 steps
    length    forward and backward of 64 rows of so many steps
    layers    forward and backward of 64 rows of 40 steps
    colours   256 demonstrations on a board with so many colours
    cells     a patching sweep of the stream, so many cells: layers x 8 steps x pairs of 40 steps

Each point is the first call in a process of its own (``python -m benchmarks.growth AXIS VALUE
THREADS [small]``), on the processor; the most memory that it takes beyond what was there before is
in MB, by Linux's count.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from benchmarks.decoding import decoding, shown
from benchmarks.measuring import MissingError, Setting, Values
from benchmarks.sweep import METRIC, demonstrated
from irl_lens.analyses.patching.contrast import in_parts
from irl_lens.analyses.patching.sweep import sweep
from irl_lens.config.presets import preset
from irl_lens.envs.registry import make_world
from irl_lens.hooks.files.json_text import to_json
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.fast import FastPath

FORGETS, STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
LAGS = 8
POINTS = {
    "rows": (1, 64, 256, 1_024),
    "length": (40, 160, 640),
    "layers": (3, 6, 12),
    "colours": (8, 12, 16),
    "cells": (48, 1_536, 48_000),
}
"""The values of each axis; the last of cells are of 1,000 episodes over 6 layers."""


def measure(setting: Setting) -> Values:
    """Measures all points, each in a process of its own.

    Raises:
        MissingError: This is not Linux.
    """
    if not FORGETS.exists():
        raise MissingError("Linux, which tells how much memory a call takes")
    found: Values = {}
    for axis, values in POINTS.items():
        for value in values[:1] if setting.small else values:
            told = [axis, str(value), str(torch.get_num_threads()), *["small"] * setting.small]
            for name, number in _elsewhere(*told).items():
                found[f"grows.{axis}.{value}.{name}"] = [number]
    return found


def prepared(axis: str, value: int, setting: Setting) -> Callable[[], object]:
    """Returns the call that is measured at a point."""
    if axis == "cells":
        pairs, model = demonstrated(_pairs(value, setting), 40, setting)
        return lambda: [
            sweep(part, ("residual pre",), LAGS) for part in in_parts(model, pairs, METRIC)
        ]
    if axis == "colours":
        config = preset(setting.preset).world
        world = make_world(replace(config, colours=value))  # type: ignore[type-var]
        return partial(world.demonstrate, 256, seed=0)
    rows, length = (value if axis == "rows" else 64), (value if axis == "length" else 40)
    fast = _fast(value if axis == "layers" else None, setting)
    world = make_world(preset(setting.preset).world)
    seen = shown(world.demonstrate(64, seed=0).observations, rows, length)
    if axis == "rows":
        return decoding(fast, seen)
    return lambda: fast.logits(seen).sum().backward()


def _pairs(cells: int, setting: Setting) -> int:
    return cells // (LAGS * preset(setting.preset).base.n_layers)


def _fast(layers: int | None, setting: Setting) -> FastPath:
    chosen = preset(setting.preset)
    base = chosen.base if layers is None else replace(chosen.base, n_layers=layers)
    world = make_world(chosen.world)
    model = TrajectoryModel(base, world.observation, world.actions)
    return FastPath(model, chosen.pretrain.precision)


def _elsewhere(*told: str) -> dict[str, float]:
    said = subprocess.run(
        [sys.executable, "-m", "benchmarks.growth", *told],
        cwd=Path(__file__).resolve().parents[1],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(said.stdout)


def point(axis: str, value: int, setting: Setting) -> dict[str, float]:
    """Seconds and megabytes of one call."""
    call = prepared(axis, value, setting)
    FORGETS.write_text("5")
    before, began = _peak(), time.perf_counter()
    call()
    return {"seconds": time.perf_counter() - began, "megabytes": _peak() - before}


def _peak() -> float:
    """The most memory that this process has had since Linux was told to forget it, in MB."""
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1_024 / 1e6


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[3]))
    print(to_json(point(sys.argv[1], int(sys.argv[2]), Setting(small=len(sys.argv) > 4))))
