"""The page of a scan: its findings, ranked, and under them every analysis with its figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from irl_lens.analyses.figures.page import drawn, plotly_code
from irl_lens.analyses.figures.page import page as filled
from irl_lens.analyses.report.scan import MOST, RATE, Finding, Look, Scan
from irl_lens.files.tensors import write_bytes

FIRST = 10
"""Findings that are shown at once; the others are folded in."""


def write_scan(scan: Scan, path: Path) -> Path:
    """Writes the page, one file that needs nothing else and no network.

    Args:
        scan: What was looked at.
        path: The HTML file.

    Returns:
        ``path``.
    """
    write_bytes(path, page(scan).encode())
    return path


def page(scan: Scan) -> str:
    """Returns the page."""
    found = [_listed(finding) for finding in scan.findings]
    done = [look for look in scan.looks if look.result is not None]
    return filled(
        "scan",
        title=f"irl-lens scan: {scan.run.preset.name}, seed {scan.run.seed}",
        plotly=plotly_code() if done else None,
        first=found[:FIRST],
        others=found[FIRST:],
        note=_note(scan),
        left_out=[look for look in scan.looks if look.result is None],
        done=done,
        figures={look.name: _figure(look) for look in done},
    )


def _listed(finding: Finding) -> dict[str, Any]:
    """A finding as the page lists it."""
    said = str(finding).removeprefix(f"{finding.name}: ")
    return {"name": finding.name, "group": finding.group, "said": said}


def _figure(look: Look) -> Markup:
    assert look.result is not None
    return drawn(look.result.figure(), f"figure-{look.name}")


def _note(scan: Scan) -> str:
    seconds = sum(look.seconds for look in scan.looks)
    left = f" It was stopped before: {', '.join(scan.left)}." if scan.left else ""
    return (
        f"A cheap version of the analyses, {seconds:.0f} seconds in all, on at most "
        f"{MOST.trajectories} demonstrations: irl-lens analyze has the full ones. An effect is the "
        "distance from a null or control, as a share of how far it could be. Of what is not "
        f"marked as chance, {RATE:.0%} is expected to be chance all the same: q is p corrected for "
        f"all findings of the scan (Benjamini and Hochberg).{left}"
    ).replace("%", " %")
