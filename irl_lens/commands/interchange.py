"""What goes to other programs and comes from them: demonstrations, bases for TransformerLens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from irl_lens.commands.opening import load, showing_progress
from irl_lens.errors import UserError
from irl_lens.files.targets import require_empty

if TYPE_CHECKING:
    from irl_lens.envs.registry import WorldConfig
    from irl_lens.envs.trajectories import Trajectories
    from irl_lens.runs.run import Run


def demonstrate(
    source: Run | Path | str, *, out: Path | str, episodes: int = 256, seed: int = 0
) -> Path:
    """Writes demonstrations of a world as a data set.

    Args:
        source: A preset's name, or a run, whose world it is.
        out: An empty folder, or one that is not there yet.
        episodes: How many.
        seed: Where every random stream starts from.

    Returns:
        ``out``, which :func:`irl_lens.data.files.read_trajectories` reads.

    Raises:
        UserError: There is no such preset or run, fewer than one episode is asked for, or
            something is in the folder.
    """
    from irl_lens.data.files import write_trajectories

    if episodes < 1:
        raise UserError(f"--episodes {episodes}: take at least 1")
    require_empty(Path(out))
    world = _world_of(source)
    write_trajectories(out, _shown(world, episodes, seed), world, seed)
    return Path(out)


def convert(data: Path | str, *, out: Path | str) -> Path:
    """Makes a Minari data set of an irl-lens one, or the other way round.

    Args:
        data: Folder of the data set.
        out: An empty folder, or one that is not there yet; of a Minari data set, called as Minari
            calls them, such as ``grid-v0``.

    Returns:
        ``out``.

    Raises:
        UserError: There is no data set, Minari is not installed, the data set is of another program
            or something is in the folder.
        CheckpointError: A file is damaged.
    """
    from irl_lens.data.files import read_seed, read_trajectories, write_trajectories
    from irl_lens.data.minari_files import read_minari, write_minari

    data, out = Path(data), Path(out)
    require_empty(out)
    if (data / "manifest.json").exists():
        trajectories, world = read_trajectories(data)
        write_minari(out, trajectories, world, read_seed(data))
    elif (data / "data" / "metadata.json").exists():
        write_trajectories(out, *read_minari(data))
    else:
        raise UserError(
            f"{data} has neither manifest.json nor data/metadata.json; give the folder of an "
            "irl-lens data set or of a Minari one"
        )
    return out


def export(run: Run | Path | str, *, out: Path | str) -> Path:
    """Writes a run's base for plain TransformerLens, 3 and 4.

    Args:
        run: The run.
        out: An empty folder, or one that is not there yet.

    Returns:
        ``out``; :mod:`irl_lens.models.export` says what is in it.

    Raises:
        UserError: Something is in the folder.
        CheckpointError: The base is not trained, or a file is missing or damaged.
    """
    from irl_lens.models.export import export_base

    require_empty(Path(out))
    opened = load(run, "cpu")
    export_base(opened.base, out, opened.world.horizon)
    return Path(out)


def _shown(config: WorldConfig, episodes: int, seed: int) -> Trajectories:
    from irl_lens.envs.contracts import Telling
    from irl_lens.envs.registry import make_world

    world = make_world(config)
    with showing_progress() as shown:
        shown.stage("demonstrations", episodes)
        if isinstance(world, Telling):
            return world.demonstrate_telling(episodes, seed, shown.update)
        trajectories = world.demonstrate(episodes, seed)
        shown.update(len(trajectories))
        return trajectories


def _world_of(source: Run | Path | str) -> WorldConfig:
    from irl_lens.config.presets import preset

    # A bundled model has the name of its preset, and the same world.
    if isinstance(source, str) and not Path(source).exists():
        return preset(source).world
    return load(source, "cpu").preset.world
