"""Minutes that each stage of a run takes, from a few of its steps; prints one JSON object.

Run: ``python benchmarks/run.py RUN [--steps 5] [--threads 2]``. RUN is a run folder or a bundled
run whose stages up to the codes are done: roll-outs cost what their episodes are long, and
these are as long as a start at the codes makes them. Data at a stage's beginning and figures at
its end are not counted.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import torch

from irl_lens.hooks.files.json_text import to_json
from irl_lens.models.trace import encode
from irl_lens.rl.internal import InternalAgent, demonstrations, start_at_codes
from irl_lens.rl.raw import RawAgent
from irl_lens.rl.trainer import RLJob
from irl_lens.runs.run import Run, find_run
from irl_lens.training.codes import CodesJob
from irl_lens.training.controllers import ControllersJob
from irl_lens.training.discovery import DiscoveryJob
from irl_lens.training.loop import Job
from irl_lens.training.pretrain import PretrainJob

WARM_UP = 2


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.steps < 1:
        parser.error(f"--steps {arguments.steps}: at least 1 is timed")
    torch.set_num_threads(arguments.threads)
    stages = {name: _measure(job, arguments.steps) for name, job in _jobs(find_run(arguments.run))}
    print(to_json({"threads": arguments.threads, "stages": stages}, indent=2))


def _jobs(run: Run) -> Iterator[tuple[str, Job]]:
    preset, seed = run.preset, run.seed
    yield "base", PretrainJob(preset, seed)
    world, base = run.world, run.fast
    yield "controllers", ControllersJob(preset.controllers, world, base, seed)
    yield "metacontroller", DiscoveryJob(preset.discovery, world, base, seed)
    meta = run.metacontroller
    if "codes" in run.chain:
        yield "codes", CodesJob(preset.codes, world, base, run.discovered, seed)
    agent = InternalAgent(base, meta, preset.internal_rl, world.horizon, seed)
    trace = encode(meta, base, demonstrations(world, seed), seed)
    start_at_codes(agent.trained, torch.from_numpy(trace.switched))
    yield "internal-rl", RLJob(agent, world, preset.internal_rl, seed, "benchmark")
    raw = RawAgent(run.fresh().pretrained, preset.raw_rl, world.horizon)
    yield "raw-rl", RLJob(raw, world, preset.raw_rl, seed, "benchmark")


def _measure(job: Job, steps: int) -> dict[str, float]:
    for i in range(WARM_UP):
        job.step(i)
    began, cpu = time.perf_counter(), time.process_time()
    for i in range(WARM_UP, WARM_UP + steps):
        job.step(i)
    seconds = (time.perf_counter() - began) / steps
    return {
        "seconds_a_step": round(seconds, 3),
        "processor_seconds_a_step": round((time.process_time() - cpu) / steps, 3),
        "minutes": round(seconds * job.steps / 60, 1),
    }


if __name__ == "__main__":
    main()
