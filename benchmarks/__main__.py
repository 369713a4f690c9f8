"""``python -m benchmarks``: measures what this machine can, and writes ``results/benchmarks.*``.

    python -m benchmarks [--only KEY...] [--out FOLDER] [--rounds 5] [--threads N] [--device cpu]

Progress is on stderr. One that lacks something, or fails, is no end of the others; Ctrl-C is, and
keeps what was measured. With ``--only``, keys or what they begin with (``env``, ``rollout.b1``), or
with ``--small``, the table is printed, or written where ``--out`` says.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
import traceback
from pathlib import Path

import torch

from benchmarks.measuring import MissingError, Setting, Values
from benchmarks.table import BENCHMARKS, Benchmark, flat, machine, markdown
from irl_lens.files.json_files import write_json
from irl_lens.files.tensors import write_bytes
from irl_lens.models.device import find_device

RESULTS = Path(__file__).resolve().parents[1] / "results"
FAILED = "failed, "


def main(told: list[str] | None = None) -> int:
    """Measures, prints and writes; returns 1 if something failed, else 0."""
    told = sys.argv[1:] if told is None else told
    given = _parsed(told)
    torch.set_num_threads(given.threads)
    setting = Setting(given.rounds, find_device(given.device), given.small)
    values, missing = measured(_chosen(given.only), setting)
    where = machine(setting, shlex.join(["python", "-m", "benchmarks", *told]))
    table = markdown(values, missing, where, given.note)
    if given.out is None and (given.only or given.small):
        print(table, end="")
    else:
        _written(RESULTS if given.out is None else given.out, flat(values, where), table)
    return int(any(reason.startswith(FAILED) for reason in missing.values()))


def measured(chosen: list[Benchmark], setting: Setting) -> tuple[Values, dict[str, str]]:
    """Runs benchmarks one after the other, until Ctrl-C.

    Returns:
        The values of every round by key, and for keys that were not measured why.
    """
    values: Values = {}
    missing: dict[str, str] = {}
    for number, each in enumerate(chosen, start=1):
        began = time.perf_counter()
        print(f"{number}/{len(chosen)} {', '.join(each.keys)}", file=sys.stderr)
        try:
            values |= each.measure(setting)
        except MissingError as error:
            missing |= dict.fromkeys(each.keys, f"needs {error}")
        except KeyboardInterrupt:
            left = [key for one in chosen[number - 1 :] for key in one.keys]
            missing |= dict.fromkeys(left, "stopped before")
            break
        except Exception as error:
            traceback.print_exc()
            missing |= dict.fromkeys(each.keys, f"{FAILED}{type(error).__name__}")
        print(f"  {time.perf_counter() - began:.0f} s", file=sys.stderr)
    return values, missing


def _written(out: Path, numbers: dict[str, float | str], table: str) -> None:
    write_json(out / "benchmarks.json", numbers)
    write_bytes(out / "benchmarks.md", table.encode())
    print(f"{out / 'benchmarks.md'}", file=sys.stderr)


def _parsed(told: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", metavar="KEY", default=())
    parser.add_argument("--out", type=Path, metavar="FOLDER")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
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
    sys.exit(main())
