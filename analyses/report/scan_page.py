"""The page of a scan: its findings, ranked, and under them every analysis with its figure."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from plotly.offline import get_plotlyjs

from irl_lens.analyses.figures.page import document
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
    title, found = f"irl-lens scan: {scan.run.preset.name}, seed {scan.run.seed}", scan.findings
    done = [look for look in scan.looks if look.result is not None]
    first = "".join(map(_item, found[:FIRST])) or "<li>nothing yet</li>"
    parts = (
        f"<ol>{first}</ol>",
        _rest(found[FIRST:]),
        f"<p>{escape(_note(scan))}</p>",
        *map(_skipped, scan.looks),
        *map(_section, done),
    )
    return document(title, "\n".join(parts), f"<script>{get_plotlyjs()}</script>" if done else "")


def _rest(found: Sequence[Finding]) -> str:
    if not found:
        return ""
    items = "".join(map(_item, found))
    return (
        f"<details><summary>{len(found)} more</summary><ol start={FIRST + 1}>{items}</ol></details>"
    )


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


def _item(finding: Finding) -> str:
    kind = ("", " class=missing")[finding.group > 0]
    said = escape(str(finding).removeprefix(f"{finding.name}: "))
    return f'<li{kind}><a href="#{finding.name}">{escape(finding.name)}</a>: {said}</li>'


def _skipped(look: Look) -> str:
    if look.result is not None:
        return ""
    return (
        f"<p class=missing>{escape(look.title)} ({look.name}) was left out: {escape(look.why)}</p>"
    )


def _section(look: Look) -> str:
    assert look.result is not None
    figure = look.result.figure().to_html(
        full_html=False,
        include_plotlyjs=False,
        auto_play=False,
        div_id=f"figure-{look.name}",
        config={"displaylogo": False, "responsive": True},
    )
    caption = escape(look.result.caption())
    return (
        f'<section id="{look.name}"><h2>{escape(look.title)}</h2><p>{caption}</p>{figure}</section>'
    )
