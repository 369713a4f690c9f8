"""Times a training pass and cached decoding of the base: fast path against TransformerLens.

Prints JSON: milliseconds of each, interleaved in one run, and their ratio. Also the share
of a training step that drawing fresh boards and expert trajectories takes.

    python benchmarks/base.py [--preset grid] [--repeats 10] [--threads 1]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from irl_lens.config.presets import preset
from irl_lens.hooks.files.json_text import to_json
from irl_lens.models.fast import FastPath
from irl_lens.training.pretrain import PretrainJob


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="grid")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    job = PretrainJob(preset(options.preset), 0)
    batch = job.stream[0]
    observations = torch.as_tensor(batch.observations)
    plain, low = FastPath(job.model), FastPath(job.model, "bfloat16")
    results = {
        "forward_backward": compare(
            {
                "transformer_lens": lambda: job.model(observations).sum().backward(),
                "fast_float32": lambda: plain.logits(observations).sum().backward(),
                "fast_bfloat16": lambda: low.logits(observations).sum().backward(),
            },
            options.repeats,
        ),
        "forward_one_row": compare(
            {
                "transformer_lens": lambda: inference(lambda: job.model(observations[:1])),
                "fast_float32": lambda: inference(lambda: plain.logits(observations[:1])),
            },
            options.repeats,
        ),
        "training_step": compare(
            {"step": lambda: job.step(1), "fresh_batch": lambda: job.stream[2]}, options.repeats
        ),
    }
    results["training_step"]["generation_share"] = (
        results["training_step"]["fresh_batch"] / results["training_step"]["step"]
    )
    print(to_json(results, indent=2))


@torch.inference_mode()
def inference(call: Callable[[], object]) -> None:
    """Runs ``call`` without autograd."""
    call()


def compare(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median milliseconds of each call, taken in turn; and how often the first is slower."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats + 2):
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            times[name].append(1e3 * (time.perf_counter() - began))
    medians = {name: statistics.median(values[2:]) for name, values in times.items()}
    first = next(iter(calls))
    return medians | {f"{first}_over_{n}": medians[first] / m for n, m in medians.items()}


if __name__ == "__main__":
    main()
