"""Run folders: one folder holds everything a run was asked for and everything it made.

``config.json`` has the preset, the seed and what the run was made with, and is sealed
(:mod:`irl_lens.files.sealed`); each stage has its own folder (:mod:`irl_lens.runs.stage`). The same
command on the same folder continues.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch

from irl_lens.config.from_json import restore
from irl_lens.config.schema import Preset
from irl_lens.config.validation import check_preset, check_seed, try_world
from irl_lens.envs.registry import make_world
from irl_lens.errors import UserError
from irl_lens.files.lock import FILES, locked
from irl_lens.files.sealed import read_sealed, write_sealed
from irl_lens.files.targets import is_temporary
from irl_lens.files.tensors import write_bytes
from irl_lens.runs.chain import BASELINES, READS, STAGES
from irl_lens.runs.provenance import describe
from irl_lens.runs.stage import Stage
from irl_lens.runs.tracking import Tracker, make_tracker

REMEDY = (
    "put it back as it was, or start another run; settings are chosen with --set, not in this file"
)
"""What to do when ``config.json`` is not as it was written."""
EVALUATION = "evaluation.json"
"""A run's measurements: sealed, under ``measured`` one flat mapping of names to numbers."""
_BUNDLED = Path(__file__).parents[1] / "bundled"


class RunFolder:
    """A run on disk: its configuration, its stages and their paths.

    Attributes:
        folder: Where the run's files are.
        preset: Its configuration.
        seed: The seed that every random stream of the run starts from.
        config: All of ``config.json``: versions, commit, command, cores and threads too.
        device: Where its parts are loaded, trained and run; the processor unless
            :meth:`irl_lens.runs.run.Run.on` chose another.
    """

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.folder = folder
        self.config = config
        self.preset = restore(Preset, config["preset"], "preset")
        self.seed = config["seed"]
        check_seed(self.seed)
        check_preset(self.preset)
        self._trackers: list[Tracker] = []
        self._stages = {n: Stage(folder / n, trackers=self._trackers) for n in READS}
        self._opened_with: dict[str, Any] | None = None
        self.device = torch.device("cpu")

    @classmethod
    def create(cls, folder: Path | str, preset: Preset, seed: int) -> Self:
        """Starts a run, or opens the one of the same preset and seed that is already there.

        Settings of stages that have not begun may differ from those the run was started
        with, and replace them.

        Args:
            folder: The run's folder, made when it is missing.
            preset: The configuration of all stages.
            seed: Where every random stream starts from.

        Raises:
            UserError: If a setting or the seed is out of range, or does not fit the others; or
                the folder holds a run of another preset or seed, or other files.
            BusyError: If something would have to be written while another process has the run.
        """
        folder = Path(folder)
        check_seed(seed)
        try_world(preset, check_preset(preset))
        if _config_to_write(folder, preset, seed) is not None:
            with locked(folder):
                config = _config_to_write(folder, preset, seed)  # another process may have been
                if config is not None:
                    write_sealed(folder / "config.json", "config", config)
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path | str) -> Self:
        """Opens a run folder.

        Raises:
            UserError: If it is none, or was written by a version with other settings.
            CheckpointError: If its ``config.json`` is damaged or was edited.
        """
        folder = Path(folder)
        if not (folder / "config.json").is_file():
            raise UserError(f"{folder} is no run folder: it has no config.json")
        run = cls(folder, read_sealed(folder / "config.json", "config", REMEDY))
        run._opened_with = run.config["preset"]
        return run

    @property
    def bundled(self) -> bool:
        """Whether the run comes with the package: nothing is written into its folder then."""
        return _BUNDLED in self.folder.parents

    def beside(self, name: str) -> Path:
        """Where something made of it goes: its folder, or of a bundled one the working folder."""
        return Path(f"{self.folder.name}-{name}") if self.bundled else self.folder / name

    def stage(self, name: str) -> Stage:
        """One stage; the same object at each call.

        Args:
            name: One of :data:`irl_lens.runs.chain.READS`.

        Raises:
            UserError: If there is no such stage.
        """
        if name not in self._stages:
            raise UserError(f"no stage {name!r}; the stages are {', '.join(READS)}")
        return self._stages[name]

    @property
    def chain(self) -> tuple[str, ...]:
        """The stages of its preset in their order, those left out that have nothing to learn.

        That is ``codes`` without steps, ``metacontroller`` or ``switches``, of which one finds what
        the other would, and ``controllers`` in a world that names no subgoals.
        """
        surprised = self.preset.switches.steps > 0
        wanted = {
            "codes": self.preset.codes.steps > 0,
            "metacontroller": not surprised,
            "switches": surprised,
            "controllers": self._labelled,
        }
        return tuple(name for name in STAGES if wanted.get(name, True))

    @cached_property
    def _labelled(self) -> bool:
        return bool(make_world(self.preset.world).subgoal_names)

    @property
    def metacontroller_stage(self) -> str:
        """The stage that leaves the metacontroller that acts and is analysed."""
        return "codes" if "codes" in self.chain else "metacontroller"

    @property
    def cotrained(self) -> bool:
        """Whether discovery trains the base further, so that another base acts from then on."""
        return self.preset.discovery.base_lr != 0

    @property
    def base_stage(self) -> str:
        """The stage that left the base that acts."""
        trained_further = self.cotrained and self.stage("metacontroller").done
        return "metacontroller" if trained_further else "base"

    @contextmanager
    def tracked(self, names: Sequence[str]) -> Iterator[None]:
        """Has its stages' logs told to others too, see :mod:`irl_lens.runs.tracking`."""
        about = {"preset": self.preset.to_dict(), "seed": self.seed}
        try:
            for name in names:
                self._trackers.append(make_tracker(name, self.folder, about))
            yield
        finally:
            while self._trackers:
                self._trackers.pop().close()

    def take_base(self, other: RunFolder) -> None:
        """Copies the finished base of another run, of any seed; nothing if it is here already.

        Raises:
            UserError: If its settings differ, or this run has begun a base of its own.
            BusyError: If another process has this run.
            CheckpointError: If it is not finished, is a record, or a file is damaged.
        """
        mine, theirs = self.stage("base"), other.stage("base")
        made, here = (
            {part: run.preset.to_dict()[part] for part in READS["base"]} for run in (other, self)
        )
        if made != here:
            was, now = first_difference(made, here)
            raise UserError(
                f"the base of {other.folder} has {was}, and {self.folder} is to have {now}; "
                "give the same settings with --set"
            )
        theirs.weights()  # which a record has not
        files = theirs.files()
        with locked(self.folder):
            if mine.begun:
                if not mine.done or mine.files() != files:
                    raise UserError(
                        f"{self.folder} has a base that is not that of {other.folder}; choose "
                        "another folder with --out"
                    )
                return
            for name, data in files.items():
                write_bytes(mine.folder / name, data)

    @property
    def evaluation(self) -> dict[str, float]:
        """The measurements that lie in the folder, by name; NaN where there was no number.

        Raises:
            UserError: If the run is not evaluated; says how.
            CheckpointError: If the file is damaged.
        """
        path, command = self.folder / EVALUATION, f"irl-lens evaluate {self.folder}"
        if not path.is_file():
            raise UserError(f"{self.folder} is not evaluated; first: {command}")
        measured = read_sealed(path, "evaluation", f"measure again: {command}")["measured"]
        return {name: math.nan if value is None else value for name, value in measured.items()}

    def require_current(self) -> None:
        """Makes sure that the folder still has the settings that this run was opened with.

        Raises:
            UserError: If it has others; names the first.
            CheckpointError: If its ``config.json`` is damaged or was edited.
        """
        if self._opened_with is None:  # its settings were given, not read
            return
        now = read_sealed(self.folder / "config.json", "config", REMEDY)["preset"]
        if now != self._opened_with:
            was, is_now = first_difference(self._opened_with, now)
            raise UserError(
                f"{self.folder} was opened with {was} and now has {is_now}; open it again"
            )

    def finished(self) -> dict[str, Stage]:
        """The stages that are done, by name, in the order of the chain, and then baselines."""
        names = (*self.chain, *BASELINES)
        return {name: self._stages[name] for name in names if self._stages[name].done}


def bundled_names() -> list[str]:
    """The names of the models that come with the package."""
    return sorted(path.parent.name for path in _BUNDLED.glob("*/config.json"))


def locate(name_or_folder: Path | str) -> Path:
    """The folder of a run, or of a bundled model by its name.

    Raises:
        UserError: If it is neither.
    """
    folder = Path(name_or_folder)
    if not (folder / "config.json").is_file() and str(name_or_folder) in bundled_names():
        return _BUNDLED / str(name_or_folder)
    if not folder.exists():
        names = ", ".join(bundled_names()) or "none"
        raise UserError(f"{folder} is neither a run folder nor a bundled model ({names})")
    return folder


def _config_to_write(folder: Path, preset: Preset, seed: int) -> dict[str, Any] | None:
    """What ``config.json`` is to hold; None if it does."""
    if (folder / "config.json").is_file():
        run = _same(RunFolder.open(folder), preset, seed)
        return None if run.preset == preset else run.config | {"preset": preset.to_dict()}
    if folder.exists() and (not folder.is_dir() or _holds_files(folder)):
        raise UserError(f"{folder} exists and is no run folder; choose another with --out")
    return {"preset": preset.to_dict(), "seed": seed} | describe()


def _holds_files(folder: Path) -> bool:
    """Whether there is anything but what a lock, or a process that was killed, leaves."""
    return any(path.name not in FILES and not is_temporary(path) for path in folder.iterdir())


def _same(run: RunFolder, preset: Preset, seed: int) -> RunFolder:
    if run.preset.name != preset.name or run.seed != seed:
        raise UserError(
            f"{run.folder} holds preset {run.preset.name!r} seed {run.seed}, "
            f"not preset {preset.name!r} seed {seed}; choose another folder with --out"
        )
    for stage, parts in READS.items():
        old, new = ({part: of.to_dict()[part] for part in parts} for of in (run.preset, preset))
        if old != new and run.stage(stage).begun:
            was, now = first_difference(old, new)
            raise UserError(
                f"{run.folder} was made with {was}, and preset {preset.name!r} now has {now}; "
                "choose another folder with --out"
            )
    return run


def first_difference(old: Any, new: Any, path: str = "") -> tuple[str, str]:
    """Names the first setting that differs, with either value."""
    if isinstance(old, dict) and isinstance(new, dict):
        key = next(key for key in old | new if old.get(key) != new.get(key))
        return first_difference(old.get(key), new.get(key), f"{path}.{key}".lstrip("."))
    return f"{path} = {old!r}", f"{path} = {new!r}"
