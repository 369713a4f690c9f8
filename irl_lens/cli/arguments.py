"""What arguments of several commands mean: presets, stages, runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from irl_lens.runs.run import Run

PRESET_NAMES = ("grid", "smoke", "paper-grid")
"""Those of :mod:`irl_lens.config.presets`, which brings the worlds and with them Gymnasium."""

StageName = Literal["base", "controllers", "metacontroller", "codes", "internal-rl", "raw-rl"]
PresetName = Annotated[
    str, tyro.conf.arg(metavar="PRESET", help=f"One of {', '.join(PRESET_NAMES)}.")
]
RunName = Annotated[
    str, tyro.conf.arg(metavar="RUN", help="A run folder, or a bundled model such as grid.")
]
OutFolder = Annotated[Path | None, tyro.conf.arg(metavar="DIR")]
OutFile = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]
Seed = Annotated[int, tyro.conf.arg(metavar="N", help="Where every random stream starts from.")]
Threads = Annotated[
    int | None,
    tyro.conf.arg(
        metavar="N", help="Threads that torch computes with; its own choice when not given."
    ),
]
Base = Annotated[str | None, tyro.conf.arg(metavar="RUN")]
Settings = Annotated[tuple[str, ...], tyro.conf.arg(name="set", metavar="KEY=VALUE...")]


def find(name: str) -> Run:
    """Opens a run folder or a bundled model."""
    from irl_lens.runs.run import find_run

    return find_run(name)
