"""``python -m benchmarks``: measures what this machine can, and writes ``results/benchmarks.*``.

    python -m benchmarks [--only KEY...] [--out FOLDER] [--rounds 5] [--threads N] [--device cpu]

Progress is on stderr. Ctrl-C ends it and keeps what was measured. With ``--only``, keys or what they
begin with (``env``, ``rollout.b1``), the table is printed, and written where ``--out`` says.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import torch

from benchmarks.measuring import MissingError, Setting, Values
from benchmarks.table import BENCHMARKS, Benchmark, flat, machine, markdown
from irl_lens.files.json_files import write_json
from irl_lens.files.tensors import write_bytes
from irl_lens.models.device import find_device

RESULTS = Path(__file__).resolve().parents[1] / "results"


def main(told: list[str] | None = None) -> None:
    """Measures, prints and writes."""
    given = _parsed(told)
    torch.set_num_threads(given.threads)
    setting = Setting(given.rounds, find_device(given.device), given.small)
    where = machine(setting)
    values, missing = measured(_chosen(given.only), setting)
    if given.out is None and given.only:
        print(markdown(values, missing, where, given.note), end="")
        return
    out = RESULTS if given.out is None else given.out
    write_json(out / "benchmarks.json", flat(values))
    write_bytes(out / "benchmarks.md", markdown(values, missing, where, given.note).encode())
    print(f"{out / 'benchmarks.md'}: {len(values)} values", file=sys.stderr)


def measured(chosen: list[Benchmark], setting: Setting) -> tuple[Values, dict[str, str]]:
    """Runs benchmarks one after the other, until Ctrl-C.

    Returns:
        The values of every round by key, and for keys that were not measured why.
    """
    values: Values = {}
    missing: dict[str, str] = {}
    for number, each in enumerate(chosen, start=1):
        told, began = ", ".join(each.keys), time.perf_counter()
        print(f"{number}/{len(chosen)} {told}", file=sys.stderr)
        try:
            values |= each.measure(setting)
        except MissingError as error:
            missing |= dict.fromkeys(each.keys, f"needs {error}")
            print(f"  needs {error}", file=sys.stderr)
        except KeyboardInterrupt:
            left = [key for one in chosen[number - 1 :] for key in one.keys]
            missing |= dict.fromkeys(left, "stopped before")
            break
        print(f"  {time.perf_counter() - began:.0f} s", file=sys.stderr)
    return values, missing


def _parsed(told: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="KEY", default=())
    parser.add_argument("--out", type=Path, metavar="FOLDER")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--small", action="store_true", help="tiny sizes: does it work?")
    parser.add_argument("--note", default="", help="a sentence on top of the table")
    given = parser.parse_args(told)
    for name in ("rounds", "threads"):
        if (number := getattr(given, name)) < 1:
            parser.error(f"--{name} {number}: at least 1")
    for key in given.only:
        if not any(each.tells(key) for each in BENCHMARKS):
            known = ", ".join(key for each in BENCHMARKS for key in each.keys)
            parser.error(f"--only {key}: there are {known}, and what these begin with")
    return given


def _chosen(only: list[str]) -> list[Benchmark]:
    return [each for each in BENCHMARKS if not only or any(each.tells(key) for key in only)]


if __name__ == "__main__":
    main()
