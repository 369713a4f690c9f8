"""The benchmarks, and what they came to: flat keys, and a table for people."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measuring import Setting, Values
from irl_lens.models.device import described
from irl_lens.runs.provenance import describe


@dataclass(frozen=True)
class Benchmark:
    """What is measured in one go.

    Attributes:
        function: ``module:function``, imported when it is its turn.
        keys: What it tells; of a group of keys, such as ``grows``, what these begin with.
    """

    function: str
    keys: tuple[str, ...]

    def measure(self, setting: Setting) -> Values:
        """Runs it."""
        module, name = self.function.split(":")
        function: Callable[[Setting], Values] = getattr(import_module(module), name)
        return function(setting)

    def tells(self, wanted: str) -> bool:
        """Whether a key is among these, or what is wanted is a group that one is in."""
        return any(_in_group(key, wanted) or _in_group(wanted, key) for key in self.keys)


def _in_group(key: str, group: str) -> bool:
    return f"{key}.".startswith(f"{group}.")


BENCHMARKS = (
    Benchmark("benchmarks.commands:measure_help", ("cli.help_s",)),
    Benchmark(
        "benchmarks.grid:measure",
        (
            "env.grid.steps_per_s_core",
            "env.grid.random_steps_per_s_core",
            "env.grid.b64.random_steps_per_s_core",
            "env.grid.vs_sync",
        ),
    ),
    Benchmark(
        "benchmarks.base:measure",
        (
            "base.train.milliseconds",
            "base.train.speedup_vs_tl",
            "base.train.bf16_speedup_vs_tl",
            "base.train.time_vs_torch",
            "base.train.bf16_time_vs_autocast",
            "base.step.milliseconds",
            "base.tokens_per_s",
            "base.gemm_share",
        ),
    ),
    Benchmark(
        "benchmarks.rollouts:measure",
        (
            "rollout.b1.milliseconds_a_step",
            "rollout.b1.speedup_vs_tl",
            "rollout.b256.milliseconds_a_step",
            "rollout.controlled_time_vs_off",
        ),
    ),
    Benchmark("benchmarks.earlier:measure_decoding", ("rollout.b256.speedup_vs_8807201",)),
    Benchmark("benchmarks.discovery:measure", ("discovery.step.milliseconds",)),
    Benchmark("benchmarks.discovery:measure_peer", ("discovery.speedup_vs_peer",)),
    Benchmark("benchmarks.sweep:measure", ("sweep.milliseconds", "sweep.speedup_vs_tl")),
    Benchmark(
        "benchmarks.ant:measure",
        (
            "ant.steps_per_s",
            "ant.rk4.steps_per_s",
            "ant.speedup_vs_async",
            "ant.speedup_vs_async_equal_physics",
        ),
    ),
    Benchmark("benchmarks.ant:measure_expert", ("ant.expert",)),
    Benchmark("benchmarks.commands:measure_report", ("report.grid.seconds",)),
    Benchmark("benchmarks.earlier:measure_run", ("run.minutes_vs_8807201",)),
    Benchmark(
        "benchmarks.base:measure_paper",
        (
            "paper.step.milliseconds",
            "paper.tokens_per_s",
            "paper.gemm_share",
            "paper.hours",
        ),
    ),
    Benchmark("benchmarks.growth:measure", ("grows",)),
)
"""In the order in which they are run, the long ones last."""

GROUP = "grows."
"""How the keys of growing cost begin, which have a table of their own."""


def machine(setting: Setting, command: str) -> dict[str, Any]:
    """What was measured on, and with."""
    told = describe()
    versions = [f"{name} {version}" for name, version in told["versions"].items() if version]
    return {
        "cpu": _cpu(),
        "cores": told["cores"],
        "threads": told["threads"],
        "device": described(setting.device),
        "versions": ", ".join(versions),
        "commit": told["commit"],
        "command": command,
        "rounds": setting.rounds,
    }


def _cpu() -> str:
    """The processor's name, as Linux has it."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def flat(values: Values, where: Mapping[str, Any]) -> dict[str, float | str]:
    """Medians over rounds, and ``machine.*``."""
    told = {f"machine.{name}": what for name, what in where.items()}
    return told | {key: median(numbers) for key, numbers in values.items()}


def markdown(
    values: Values, missing: Mapping[str, str], where: Mapping[str, Any], note: str
) -> str:
    """The same with lowest and highest, the machine, and why others are not there."""
    return "\n".join(_lines(values, missing, where, note)) + "\n"


def _lines(
    values: Values, missing: Mapping[str, str], where: Mapping[str, Any], note: str
) -> Iterator[str]:
    yield f"`{where['command']}`, at commit {where['commit']}."
    yield f"Machine: {where['cpu']}, cores {where['cores']}, threads {where['threads']}, device"
    yield f"{where['device']}; {where['versions']}."
    yield f"Medians, lowest and highest of up to {where['rounds']} rounds after one that is not"
    yield "counted; what is compared takes turns. [The keys](../docs/benchmarks.md)."
    yield from ("", note) if note else ()
    usual = {key: numbers for key, numbers in values.items() if not key.startswith(GROUP)}
    yield from ("", "| key | median | low | high |", "|---|---|---|---|")
    for key, numbers in usual.items():
        shown = " | ".join(_number(x) for x in (median(numbers), min(numbers), max(numbers)))
        yield f"| `{key}` | {shown} |"
    yield from _grown({key[len(GROUP) :]: x for key, x in values.items() if key.startswith(GROUP)})
    if missing:
        yield from ("", "Not measured here:", "")
    for key, sentence in missing.items():
        yield f"- `{key}`: {sentence}."


def _grown(values: Mapping[str, Sequence[float]]) -> Iterator[str]:
    if not values:
        return
    yield from ("", "How cost grows (`benchmarks/growth.py`), one call each:", "")
    yield from ("| of | number | seconds | MB on top |", "|---|---|---|---|")
    for key in values:
        axis, number, what = key.split(".")
        if what == "seconds":
            seconds, size = values[key][0], values[f"{axis}.{number}.megabytes"][0]
            yield f"| {axis} | {int(number):,} | {_number(seconds)} | {_number(size)} |"


def _number(x: float) -> str:
    return f"{x:,.0f}" if abs(x) >= 1_000 else f"{x:.3g}"
