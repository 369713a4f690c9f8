"""Times what the explorer shows on the first episode: the heat map, fields, and roll-outs.

Prints JSON: milliseconds from a change of the state to the numbers, median and slowest of some
repeats, caches empty each time. The aims are 300 ms for a sweep over layers and steps of the
residual stream, and 1000 ms for 32 steered roll-outs, before and after.

    python benchmarks/explorer.py [--run grid] [--repeats 10] [--threads 2]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

import irl_lens
from irl_lens.analyses.explorer import Explorer
from irl_lens.analyses.explorer.workbench import Workbench
from irl_lens.hooks.files.json_text import to_json


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", default="grid")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    workbench = Workbench(irl_lens.load(options.run))
    state = Explorer(workbench).state

    def fresh() -> Explorer:
        return Explorer(workbench, state)

    def last() -> Explorer:
        return fresh().set(step=len(state.walk) - 1)

    def patched() -> Explorer:
        return fresh().patch(workbench.layers, state.step, held=True)

    def steered() -> Explorer:
        if workbench.meta is not None:
            return fresh().steer(kind="code", code=tuple(workbench.switch_codes.codes[0].tolist()))
        layer, bank = next(iter(workbench.banks.items()))
        return fresh().steer(kind="controller", layer=layer, name=bank.names[0])

    calls: dict[str, Callable[[], object]] = {
        "sweep, first decision": lambda: fresh().sweep(),
        "sweep, whole walk": lambda: last().sweep(),
        "fields, patched": lambda: patched().fields(),
        "readings": lambda: fresh().readings(),
        "32 roll-outs, patched, before and after": lambda: _both(patched(), patches=True),
        "32 roll-outs, steered, before and after": lambda: _both(steered(), steered=True),
    }
    if not workbench.walkable:
        del calls["fields, patched"]
    times = {name: _timed(call, options.repeats) for name, call in calls.items()}
    print(to_json({"steps": len(state.walk), "milliseconds": times}, indent=2))


def _both(session: Explorer, patches: bool = False, steered: bool = False) -> None:
    session.rollouts()
    session.rollouts(patches, steered)


def _timed(call: Callable[[], object], repeats: int) -> dict[str, float]:
    """Median and slowest milliseconds, after one call that is not counted."""
    call()
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        found.append(1_000 * (time.perf_counter() - began))
    return {"median": round(statistics.median(found), 1), "slowest": round(max(found), 1)}


if __name__ == "__main__":
    main()
