"""What arguments of several commands mean: presets, stages, runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from irl_lens.runs.chain import READS

PRESET_NAMES = ("grid", "smoke", "ant", "paper-grid", "paper-ant")
"""Those of :mod:`irl_lens.config.presets`, which brings the worlds and with them Gymnasium."""

EXPERT = "expert"
"""What can be trained beside the stages of a run: the skill of a world's expert."""

StageName = Annotated[
    str, tyro.conf.arg(constructor=tyro.extras.literal_type_from_choices(tuple(READS)))
]
TrainedName = Annotated[
    str, tyro.conf.arg(constructor=tyro.extras.literal_type_from_choices((*READS, EXPERT)))
]
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
Device = Annotated[
    str | None,
    tyro.conf.arg(
        metavar="DEVICE",
        help="cpu, cuda, cuda:1, .., or auto, the graphics card if torch sees one; what "
        "IRL_LENS_DEVICE says when not given, or else auto.",
    ),
]
Base = Annotated[str | None, tyro.conf.arg(metavar="RUN")]
Settings = Annotated[tuple[str, ...], tyro.conf.arg(name="set", metavar="KEY=VALUE...")]
Formats = Annotated[
    tuple[str, ...],
    tyro.conf.arg(
        name="format",
        metavar="html|png|svg...",
        help="What figures are written as; png and svg need the extra figures, and Chrome.",
    ),
]
Size = Annotated[
    str | None,
    tyro.conf.arg(metavar="WIDTHxHEIGHT", help="Size of figures in pixels, such as 900x500."),
]
Track = Annotated[
    tuple[str, ...],
    tyro.conf.arg(
        metavar="NAME...",
        help="Also log for these dashboards: tensorboard (event files in each stage's folder), "
        "wandb (offline, in the run's folder, unless WANDB_MODE=online).",
    ),
]
Json = Annotated[
    bool,
    tyro.conf.FlagCreatePairsOff,
    tyro.conf.arg(name="json", help="Print one JSON object in place of lines."),
]
