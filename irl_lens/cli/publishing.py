"""Commands that make something for others: tables, bundles, a check of other implementations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from irl_lens.cli.arguments import Json, OutFile, RunName
from irl_lens.cli.console import as_object, written
from irl_lens.commands import publishing
from irl_lens.files.targets import require_writable

OWN_ADAPTER = "irl_lens.conformance.adapters.own:OwnAdapter"


def summary(
    runs: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="RUN...")],
    /,
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")],
    as_json: Json = False,
) -> None:
    """Writes the median, lowest and highest of every measurement over runs of several seeds.

    Args:
        runs: Evaluated runs of one preset, or records of such that a summary left.
        out: Folder for summary.json, runs.json and the runs' records.
    """
    written([publishing.summary(runs, out=out)], as_json)


def bundle(
    run_name: tyro.conf.Positional[RunName],
    /,
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")],
    as_json: Json = False,
) -> None:
    """Copies a finished run to ship: its record, and the weights that act in half the bytes.

    Args:
        out: An empty folder, or one that is not there yet, or what an interrupted bundle left.
    """
    written([publishing.bundle(run_name, out=out)], as_json)


def conformance(
    adapter: Annotated[str, tyro.conf.arg(metavar="MODULE:NAME")] = OWN_ADAPTER,
    out: OutFile = None,
    as_json: Json = False,
) -> None:
    """Puts an implementation of internal RL through the conformance oracles.

    Exits with 1 if one of them fails.

    Args:
        adapter: A class or function that makes an irl_lens.conformance.Adapter.
        out: Where to write a page of it (Markdown).
    """
    from irl_lens.conformance import check, load_adapter, report, table
    from irl_lens.files.tensors import write_bytes

    if out is not None:
        require_writable(out)
    subject = load_adapter(adapter)
    outcomes = check(subject)
    if not as_json:
        print(table(outcomes))
    if out is not None:
        command = f"irl-lens conformance --adapter {adapter}"
        write_bytes(out, report(subject, outcomes, command).encode())
    if as_json:
        rows = [
            {"oracle": o.oracle.name, "verdict": o.verdict, "discrepancy": o.discrepancy}
            | {"tolerance": o.oracle.tolerance, "note": o.note}
            for o in outcomes
        ]
        as_object({"outcomes": rows, "written": [str(out)] * (out is not None)})
    elif out is not None:
        print(out)
    if any(outcome.verdict == "fail" for outcome in outcomes):
        raise SystemExit(1)
