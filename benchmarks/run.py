"""Minutes that each stage of a run takes, from a few of its steps; prints one JSON object.

Run: ``python benchmarks/run.py RUN [--steps 5] [--threads 2]``. RUN is a run folder or a bundled
run whose stages up to the codes are done: roll-outs cost what their episodes are long, and
these are as long as a start at the codes makes them. Data at a stage's beginning and figures at
its end are not counted.

With ``--against CHECKOUT``, the folder of another version of this repository, that one's benchmark
and this one's take turns, each on its own RUN if that is a bundled one, and besides the seconds of
each stage, medians over ``--rounds``, there is what share of the other's a step takes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

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
from irl_lens.training.segment_starts import DiscoveredSwitches

WARM_UP = 2
HERE = Path(__file__).resolve().parents[1]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--against", type=Path, metavar="CHECKOUT")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    for name in ("steps", "rounds"):
        if (number := getattr(arguments, name)) < 1:
            parser.error(f"--{name} {number}: at least 1 is timed")
    if arguments.against is None:
        torch.set_num_threads(arguments.threads)
        jobs = _jobs(find_run(arguments.run))
        found = {name: _measure(job, arguments.steps) for name, job in jobs}
    elif not (arguments.against / "benchmarks/run.py").is_file():
        parser.error(f"--against {arguments.against}: no benchmarks/run.py there; clone it there")
    else:
        found = _side_by_side(arguments)
    print(to_json({"threads": arguments.threads, "stages": found}, indent=2))


def _side_by_side(arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Both versions' times by stage, and the ratio of those of a step."""
    both = (HERE, arguments.against.resolve())
    rounds = [[_of_version(folder, arguments) for folder in both] for _ in range(arguments.rounds)]
    found = {}
    for stage in rounds[0][0]:
        if stage not in rounds[0][1]:
            continue
        seconds, minutes = (
            [median(turn[i][stage][key] for turn in rounds) for i in range(2)]
            for key in ("seconds_a_step", "minutes")
        )
        found[stage] = {
            "seconds_a_step": seconds[0],
            "seconds_a_step_there": seconds[1],
            "minutes": minutes[0],
            "minutes_there": minutes[1],
            "share": round(seconds[0] / seconds[1], 3),
        }
    return found


def _of_version(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    told = ["--steps", str(arguments.steps), "--threads", str(arguments.threads)]
    said = subprocess.run(
        [sys.executable, str(folder / "benchmarks/run.py"), arguments.run, *told],
        env=os.environ | {"PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    )
    if said.returncode:
        sys.exit(f"the benchmark of {folder} failed, see above; RUN has to be one that it can read")
    return json.loads(said.stdout)["stages"]


def _jobs(run: Run) -> Iterator[tuple[str, Job]]:
    preset, seed = run.preset, run.seed
    yield "base", PretrainJob(preset, seed)
    world, base = run.world, run.fast
    yield "controllers", ControllersJob(preset.controllers, world, base, seed)
    discovery = DiscoveryJob(preset.discovery, world, base, seed)
    yield "metacontroller", discovery
    meta = run.metacontroller
    if "codes" in run.chain:
        # A bundled run keeps no metacontroller; what its gates mark costs the same wherever it is.
        yield (
            "codes",
            CodesJob(preset.codes, world, base, DiscoveredSwitches(discovery.meta, 0.5), seed),
        )
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
