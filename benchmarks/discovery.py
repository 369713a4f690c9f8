"""Time of a discovery step, with its parts; prints one JSON object.

Run: ``python benchmarks/discovery.py [--preset grid] [--steps 20] [--threads 2]``. The base is
untrained, which costs the same.
"""

from __future__ import annotations

import argparse
import time

import torch

from irl_lens.config.presets import preset
from irl_lens.envs.registry import make_world
from irl_lens.hooks.files.json_text import to_json
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.fast import FastPath
from irl_lens.training.batches import Batch
from irl_lens.training.discovery import DiscoveryJob


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="grid")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(to_json(measure(arguments.preset, arguments.steps), indent=2))


def measure(name: str, steps: int) -> dict[str, object]:
    """Returns milliseconds a step and of each part of it."""
    chosen = preset(name)
    world = make_world(chosen.world)
    model = TrajectoryModel(chosen.base, world.observation, world.actions).frozen()
    job = DiscoveryJob(chosen.discovery, world, FastPath(model, chosen.pretrain.precision), seed=0)
    layer = chosen.discovery.layer
    batch = Batch.of(job.stream[0])
    stream = batch.residuals(job.base, (layer,))[layer].requires_grad_()
    return {
        "preset": name,
        "threads": torch.get_num_threads(),
        "dtype": str(job.base.dtype),
        "step_ms": _milliseconds(job.step, steps),
        "demonstrate_ms": _milliseconds(lambda i: job.stream[i], steps),
        "base_before_ms": _milliseconds(lambda i: batch.residuals(job.base, (layer,)), steps),
        "base_after_ms": _milliseconds(
            lambda i: batch.nll(job.base, stream, layer).backward(), steps
        ),
        "metacontroller_ms": _milliseconds(
            lambda i: _backward(job.meta(stream.detach(), batch.mask).codes), steps
        ),
    }


def _backward(codes: torch.Tensor) -> None:
    codes.sum().backward()


def _milliseconds(function, steps: int) -> float:
    for i in range(2):
        function(i)
    began = time.perf_counter()
    for i in range(2, 2 + steps):
        function(i)
    return round((time.perf_counter() - began) / steps * 1e3, 2)


if __name__ == "__main__":
    main()
