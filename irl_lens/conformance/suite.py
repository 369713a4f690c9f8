"""Runs the oracles, and writes what they found as a table or a page that says how it was made."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence

import torch

from irl_lens.conformance.adapter import Adapter
from irl_lens.conformance.oracle import Oracle, Outcome
from irl_lens.conformance.oracles import ORACLES


def check(adapter: Adapter, oracles: Iterable[Oracle] = ORACLES) -> list[Outcome]:
    """Puts an adapter through the oracles, all of them by default.

    Examples:
        >>> from irl_lens.conformance import Adapter
        >>> class Nothing(Adapter):
        ...     name, d_model, n_z = "nothing", 4, 2
        >>> {outcome.verdict for outcome in check(Nothing())}
        {'not applicable'}
    """
    return [oracle.check(adapter) for oracle in oracles]


def table(outcomes: Sequence[Outcome]) -> str:
    """Returns the outcomes as a Markdown table.

    Examples:
        >>> from irl_lens.conformance import Outcome, ORACLES
        >>> print(table([Outcome(ORACLES[0], 0.25, "what is added against U e")]))
        | oracle         | verdict | discrepancy | tolerance | of                        |
        |----------------|---------|-------------|-----------|---------------------------|
        | matrix product | fail    | 0.25        | 1e-03     | what is added against U e |
    """
    rows = [("oracle", "verdict", "discrepancy", "tolerance", "of"), *map(_row, outcomes)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def report(adapter: Adapter, outcomes: Sequence[Outcome], command: str) -> str:
    """Returns a Markdown page: what was tested, by which command, the table, the oracles.

    Examples:
        >>> from irl_lens.conformance import Adapter
        >>> class Nothing(Adapter):
        ...     name, d_model, n_z = "nothing 1.0", 4, 2
        >>> print(report(Nothing(), [], "irl-lens conformance").splitlines()[0])
        # Conformance of nothing 1.0
    """
    versions = f"torch {torch.__version__}, Python {platform.python_version()}"
    oracles = [
        f"- **{o.name}**: {o.statement} `{o.equation}` ({o.source})"
        for o in (outcome.oracle for outcome in outcomes)
    ]
    parts = [
        f"# Conformance of {adapter.name}",
        f"Made by `{command}` with {versions}.",
        table(outcomes),
        "## The oracles",
        "\n".join(oracles),
    ]
    return "\n\n".join(parts) + "\n"


def _row(outcome: Outcome) -> tuple[str, ...]:
    measured = "" if outcome.discrepancy is None else f"{outcome.discrepancy:.2g}"
    tolerance = f"{outcome.oracle.tolerance:.0e}" if outcome.oracle.tolerance else "0"
    return outcome.oracle.name, outcome.verdict, measured, tolerance, outcome.note
