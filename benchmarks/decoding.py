"""Cached decoding, by this version of the package or by an earlier one; prints seconds as JSON.

    python benchmarks/decoding.py [--preset grid] [--rows 256] [--steps 40] [--rounds 5]

An untrained base reads the same demonstrations step by step: it costs the same. It runs by itself,
so that the package of another checkout, first on ``PYTHONPATH``, can be measured by it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor

from irl_lens.models.fast import FastPath
from irl_lens.training.pretrain import PretrainJob

try:
    from irl_lens.config.presets import preset
except ImportError:  # where it was before there were rooms
    from irl_lens.presets import preset  # type: ignore[import-not-found, no-redef]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="grid")
    for name, default in (("rows", 256), ("steps", 40), ("rounds", 5), ("threads", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    job = PretrainJob(preset(given.preset), 0)
    fast = FastPath(job.model, job.config.precision)
    decode = decoding(fast, shown(job.stream[0].observations, given.rows, given.steps))
    seconds = [_seconds(decode) for _ in range(given.rounds + 1)][1:]
    print(json.dumps(seconds, allow_nan=False))


def shown(observations: np.ndarray, rows: int, steps: int) -> Tensor:
    """As many demonstrations, over again where there are fewer, or they end sooner."""
    at = np.arange(rows)[:, None] % len(observations), np.arange(steps) % observations.shape[1]
    return torch.from_numpy(observations[at])


def decoding(fast: FastPath, observations: Tensor) -> Callable[[], Tensor]:
    """Returns what reads the observations one step at a time, and returns all logits."""
    rows, steps = observations.shape[:2]

    @torch.no_grad()
    def decode() -> Tensor:
        cache = fast.cache(rows, steps)
        with getattr(fast, "held", nullcontext)():  # it used to be so by itself
            return torch.cat([fast.logits(x, cache=cache) for x in observations.split(1, 1)], dim=1)

    return decode


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
