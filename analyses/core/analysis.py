"""An analysis as the registry knows it: its function, and what must be finished for it.

Of one run the function takes the run's parts, of several the runs and their progress; either
has options that have defaults and returns a :class:`irl_lens.analyses.core.result.Result`. It
is imported only when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.options import Given, arguments, chosen, options_of
from irl_lens.analyses.core.result import PAGE, Result
from irl_lens.analyses.core.result import write as write_result
from irl_lens.analyses.figures.files import FigureFiles
from irl_lens.envs.contracts import Offer, require
from irl_lens.errors import UserError
from irl_lens.progress import Progress
from irl_lens.runs.provenance import describe
from irl_lens.runs.run import Run

METACONTROLLER = "metacontroller"
"""Needed: whichever stage leaves the metacontroller that acts."""


@dataclass(frozen=True)
class Analysis:
    """One analysis.

    Attributes:
        name: What it is asked for by.
        where: Its function, as ``module:name``.
        title: What it shows, in a few words.
        needs: Stages that must be finished, beside the base.
        either: Stages of which one must be finished.
        asks: What the world must offer, see :mod:`irl_lens.envs.contracts`.
        several: Whether it is of several runs.
        scanned: Whether a scan tries it: not what another looks at more closely, nor what says
            nothing of a single run.
        against: What compares the results of two runs, as ``module:name``.
    """

    name: str
    where: str
    title: str
    needs: tuple[str, ...] = ()
    either: tuple[str, ...] = ()
    asks: tuple[Offer, ...] = ()
    several: bool = False
    scanned: bool = True
    against: str | None = None

    @property
    def function(self) -> Callable[..., Result]:
        """The function, imported."""
        return resolve_name(self.where)

    @property
    def stage(self) -> str:
        """The stage that it is about."""
        return (*self.needs, *self.either, "base")[0]

    def missing(self, run: Run) -> str | None:
        """Returns the first stage that must still be finished; None if there is none."""
        for stage in ("base", *self.needs):
            stage = run.metacontroller_stage if stage == METACONTROLLER else stage
            if not run.stage(stage).done:
                return stage
        done = not self.either or any(run.stage(stage).done for stage in self.either)
        return None if done else self.either[0]

    def check(self, run: Run) -> None:
        """Refuses a run that cannot be analysed so.

        Raises:
            NotOffered: Its world lacks something, which no training brings about.
            UserError: A stage is not finished.
        """
        require(run.world, self.asks, self.name)
        if stage := self.missing(run):
            raise UserError(
                f"{self.name} needs the stage {stage} of {run.folder}; finish it first with "
                f"irl-lens train {stage} --preset {run.preset.name} --out {run.folder}"
            )

    def options(self, given: Given = ()) -> dict[str, Any]:
        """Reads and checks options; see :func:`irl_lens.analyses.core.options.chosen`."""
        return chosen(self.name, self.function, given)

    def of(self, loaded: LoadedRun, **options: Any) -> Result:
        """Analyses one run.

        Args:
            loaded: The run's parts. What needs nothing from discovery on is about the base as
                pretraining left it, all else about the base that acts.
            options: Those that are not to keep their defaults.

        Raises:
            NotOffered: The world lacks something.
        """
        require(loaded.world, self.asks, self.name)
        acts = {*self.needs, *self.either} - {"controllers"}
        taken = arguments(self.function, self.options(options))
        return self.function(loaded if acts else loaded.pretrained, **taken)

    def of_several(
        self, runs: Sequence[Run], progress: Progress | None = None, **options: Any
    ) -> Result:
        """Analyses several runs, or a set of one."""
        return self.function(runs, progress, **arguments(self.function, self.options(options)))

    def write(
        self,
        result: Result,
        path: Path,
        runs: Sequence[Run],
        options: Mapping[str, Any],
        files: FigureFiles = PAGE,
    ) -> None:
        """Writes a result and what it was made with; see :func:`result.write`."""
        defaults = {key: option.default for key, option in options_of(self.function).items()}
        # Where a bundled model lies is another place in every installation: its name finds it.
        names = [run.folder.name if run.bundled else str(run.folder) for run in runs]
        made = {"analysis": self.name, "runs": names, "seeds": [run.seed for run in runs]}
        made |= {"options": defaults | dict(options)} | describe(runs[0].device)
        write_result(result, path, self.title, made, files)
