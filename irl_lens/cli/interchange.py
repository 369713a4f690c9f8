"""Commands for other programs: demonstrations as files, bases for plain TransformerLens."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from irl_lens.cli.arguments import Json, RunName, Seed
from irl_lens.cli.console import written
from irl_lens.commands import interchange

Out = Annotated[Path, tyro.conf.arg(metavar="DIR")]


def demonstrate(
    source: Annotated[
        tyro.conf.Positional[str],
        tyro.conf.arg(metavar="PRESET|RUN", help="A preset's name, or a run, whose world it is."),
    ],
    /,
    out: Out,
    episodes: Annotated[int, tyro.conf.arg(metavar="N", help="How many.")] = 256,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Writes demonstrations of a world as a data set.

    Args:
        out: An empty folder, or one that is not there yet.
    """
    found = interchange.demonstrate(source, out=out, episodes=episodes, seed=seed)
    written([found], as_json)


def convert(
    data: Annotated[
        tyro.conf.Positional[Path],
        tyro.conf.arg(metavar="DATA", help="Folder of an irl-lens data set, or of a Minari one."),
    ],
    /,
    out: Out,
    as_json: Json = False,
) -> None:
    """Makes a Minari data set of an irl-lens one, or the other way round.

    Args:
        out: An empty folder, or one that is not there yet; of a Minari data set, called as Minari
            calls them, such as grid-v0.
    """
    written([interchange.convert(data, out=out)], as_json)


def export(run_name: tyro.conf.Positional[RunName], /, out: Out, as_json: Json = False) -> None:
    """Writes a run's base for plain TransformerLens, 3 and 4.

    Args:
        out: An empty folder, or one that is not there yet.
    """
    written([interchange.export(run_name, out=out)], as_json)
