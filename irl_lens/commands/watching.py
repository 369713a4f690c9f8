"""Watching runs: how far they have come, again and again.

Only reads: whoever trains is not disturbed, whatever becomes of who watches.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irl_lens.errors import UserError

if TYPE_CHECKING:
    from irl_lens.runs.folder import RunFolder
    from irl_lens.runs.standing import Standing

SECONDS = 2.0
"""Between two looks."""


def watched(folder: Path | str) -> list[RunFolder]:
    """Opens what is to be watched: a run, or all runs in a folder such as a sweep's.

    Raises:
        UserError: There is no run.
        CheckpointError: The ``config.json`` of one is damaged.
    """
    from irl_lens.runs.folder import RunFolder, locate

    found = locate(folder)
    if (found / "config.json").is_file():
        return [RunFolder.open(found)]
    if configs := sorted(found.glob("*/config.json")):
        return [RunFolder.open(config.parent) for config in configs]
    raise UserError(f"{found} has no runs in it; give a run's folder, or a folder of runs")


def looks(runs: Sequence[RunFolder], seconds: float = SECONDS) -> Iterator[list[Standing]]:
    """Looks at runs again and again, until nobody trains in them any more.

    Args:
        runs: The runs.
        seconds: Time between two looks [s].
    """
    from irl_lens.runs.standing import standing

    while True:
        found = [standing(run) for run in runs]
        yield found
        if not any(one.process for one in found):
            return
        time.sleep(seconds)


def plain(run: Standing) -> dict[str, Any]:
    """Returns a run as JSON-able values: of each stage's log the last line."""
    stages = [asdict(stage) | {"last": dict(*stage.rows[-1:])} for stage in run.stages]
    values = asdict(run) | {"folder": str(run.folder), "finished": run.finished}
    return values | {"stages": [{k: v for k, v in one.items() if k != "rows"} for one in stages]}
