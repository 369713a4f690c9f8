"""The page of a scan: its findings, ranked, and under them every analysis with its figure."""

from __future__ import annotations

from html import escape
from pathlib import Path

from plotly.offline import get_plotlyjs

from irl_lens.analyses.report import STYLE
from irl_lens.analyses.scan import MOST, RATE, Finding, Look, Scan
from irl_lens.checkpoint import write_bytes

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
    rest = "".join(map(_item, found[FIRST:]))
    return _PAGE.format(
        title=escape(title),
        style=STYLE,
        plotly=get_plotlyjs() if done else "",
        first="".join(map(_item, found[:FIRST])) or "<li>nothing yet</li>",
        start=FIRST + 1,
        rest=rest
        and f"<details><summary>{len(found) - FIRST} more</summary><ol "
        f"start={FIRST + 1}>{rest}</ol></details>",
        note=escape(_note(scan)),
        skipped="".join(map(_skipped, scan.looks)),
        body="\n".join(map(_section, done)),
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
        div_id=f"figure-{look.name}",
        config={"displaylogo": False, "responsive": True},
    )
    caption = escape(look.result.caption())
    return (
        f'<section id="{look.name}"><h2>{escape(look.title)}</h2><p>{caption}</p>{figure}</section>'
    )


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
<script>{plotly}</script>
</head>
<body>
<h1>{title}</h1>
<ol>{first}</ol>
{rest}
<p>{note}</p>
{skipped}
{body}
</body>
</html>
"""
