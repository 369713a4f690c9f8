"""An overview of a run: a cheap version of the analyses, and their findings ranked.

Findings (:class:`irl_lens.analyses.core.claims.Claim`) that are not chance come first, the largest
effect first; then those that were not tested; then those that may be chance, the smallest p
first. Of each of these, the first finding of every analysis comes before the second of any, and
what is beyond two an analysis comes last of all, so that the first lines tell of different
things; the first sums the others up. As many are tested at once, what counts as chance is
decided by the false discovery rate over all of them (Benjamini and Hochberg 1995): of the
findings called so, about 5 % are expected to be none.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite, nan
from textwrap import shorten
from typing import Any

import numpy as np
from scipy.stats import false_discovery_control

from irl_lens.analyses.core.analysis import Analysis
from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.options import options_of
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.registry import ANALYSES
from irl_lens.config.schema import EvaluationConfig
from irl_lens.envs.contracts import require
from irl_lens.errors import UserError
from irl_lens.progress import Progress
from irl_lens.runs.run import Run

MOST = EvaluationConfig(trajectories=256, rollouts=128, probe_iterations=30)
"""Samples of a scan; a run that is evaluated on fewer keeps its own."""
SMALL: dict[str, Any] = {
    "rows": 128,
    "boards": 64,
    "episodes": 128,
    "demonstrations": 64,
    "iterations": 20,
    "draws": 100,
    "components": ("attention out", "mlp out"),
    "inputs": ("v",),
    "umap": False,
}
"""Options of a scan, by name, for whatever analysis has them; numbers are no more than these."""
LONGEST = 240
"""Characters of a finding; the analysis' caption has all of it."""
RATE = 0.05
"""Rate of false discoveries among what is said to be found."""
VERDICTS = ("found", "not tested", "may be chance")
"""By group."""
EACH = 2
"""Findings of one analysis before all others have had their turn."""


@dataclass(frozen=True)
class Look:
    """One analysis of a scan.

    Attributes:
        name: Its name in the registry.
        title: What it shows.
        result: What it returned; None where it could not be done.
        why: Why not.
        seconds: How long it took.
    """

    name: str
    title: str
    result: Result | None
    why: str
    seconds: float


@dataclass(frozen=True)
class Finding:
    """A claim with its rank among others.

    Attributes:
        name: Name of the analysis.
        claim: What was found.
        q: Rate of false discoveries if this one counts as found; NaN if it was not tested.
        turn: How many findings of the same analysis come before it.
        more: How many come after it by group, if it is the first.
    """

    name: str
    claim: Claim
    q: float
    turn: int = 0
    more: tuple[int, ...] = ()

    @property
    def group(self) -> int:
        """Number of its verdict: 0 for a finding, then what was not tested, and chance."""
        return 1 if np.isnan(self.q) else 2 * (self.q > RATE)

    def __str__(self) -> str:
        said = f"{self.name}: {shorten(self.claim.sentence, LONGEST, placeholder=' ...')}"
        numbers = [f"effect {self.claim.effect:+.2f}"] * isfinite(self.claim.effect)
        numbers += [f"q {self.q:.2g}"] * isfinite(self.q)
        said += f" [{', '.join(numbers)}]" if numbers else ""
        said += f" [{VERDICTS[self.group]}]" if self.group else ""
        more = [f"{n} {verdict}" for n, verdict in zip(self.more, VERDICTS, strict=False) if n]
        return f"{said} (more of {self.name}: {', '.join(more)})" if more else said


@dataclass(frozen=True)
class Scan:
    """What was looked at.

    Attributes:
        run: The run.
        looks: One an analysis, in the order of the registry.
        left: Names of those that it did not come to.
    """

    run: Run
    looks: tuple[Look, ...]
    left: tuple[str, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All of them, ranked."""
        done = [look for look in self.looks if look.result is not None]
        return rank([(look.name, c) for look in done for c in look.result.claims()])  # type: ignore


def rank(claims: Sequence[tuple[str, Claim]]) -> tuple[Finding, ...]:
    """Puts claims in the order in which they are worth a look.

    Args:
        claims: Each with the name of its analysis.
    """
    tested = [claim.p for _, claim in claims if isfinite(claim.p)]
    rates = iter(false_discovery_control(tested) if tested else ())
    found = [Finding(n, c, float(next(rates)) if isfinite(c.p) else nan) for n, c in claims]
    own: dict[str, list[Finding]] = {}
    for finding in sorted(found, key=_worth):
        own.setdefault(finding.name, []).append(finding)
    turns = [turn for same in own.values() for turn in _turns(same)]
    return tuple(sorted(turns, key=lambda f: (f.turn >= EACH, f.group, f.turn, _worth(f))))


def _turns(same: Sequence[Finding]) -> list[Finding]:
    """Numbers an analysis' findings and sums them up in the first."""
    first, *others = (replace(finding, turn=turn) for turn, finding in enumerate(same))
    counts = Counter(finding.group for finding in others)
    return [replace(first, more=tuple(counts[group] for group in range(3))), *others]


def _worth(finding: Finding) -> tuple[int, float]:
    size = abs(finding.claim.effect)
    within = (-size if isfinite(size) else inf, 0.0, finding.claim.p)
    return finding.group, within[finding.group]


def scan(run: Run, progress: Progress, entries: Mapping[str, Analysis] | None = None) -> Scan:
    """Runs the cheap version of every analysis but those that say nothing of a single run.

    What needs a stage that is not finished is left out, and what cannot be done says why.
    Ctrl-C ends it with what is done.

    Args:
        run: A run whose base is trained.
        progress: Told of every analysis.
        entries: The analyses by name; all there are if not given.

    Raises:
        CheckpointError: If the base is not trained.
    """
    entries = scanned() if entries is None else entries
    loaded, looks = small_samples(run), []
    progress.stage("scan", len(entries))
    try:
        for wanted in entries.values():
            looks.append(_look(loaded, wanted))
            progress.update(len(looks))
    except KeyboardInterrupt:
        pass  # what is done is worth a page
    return Scan(run, tuple(looks), tuple(list(entries)[len(looks) :]))


def scanned() -> dict[str, Analysis]:
    """The analyses that a scan tries."""
    return {name: wanted for name, wanted in ANALYSES.items() if wanted.scanned}


def small_samples(run: Run) -> LoadedRun:
    """A run's parts, with small samples."""
    loaded = LoadedRun(run)
    sizes = {name: min(most, getattr(loaded.sizes, name)) for name, most in vars(MOST).items()}
    loaded.sizes = replace(loaded.sizes, **sizes)
    return loaded


def options(wanted: Analysis) -> dict[str, Any]:
    """The options of an analysis that a scan changes."""
    known = {name: option.default for name, option in options_of(wanted.function).items()}
    return {
        name: min(small, known[name]) if isinstance(known[name], int) else small
        for name, small in SMALL.items()
        if name in known
    }


def _look(loaded: LoadedRun, wanted: Analysis) -> Look:
    began, result, why = time.perf_counter(), None, ""
    try:
        require(loaded.world, wanted.asks, wanted.name)
        if missing := wanted.missing(loaded.run):
            raise UserError(f"the stage {missing} is not finished")
        small = options(wanted)
        if wanted.several:
            result = wanted.of_several([loaded.run], **small)
        else:
            result = wanted.of(loaded, **small)
    except UserError as error:  # the world, or the run, does not lend itself to this one
        why = str(error)
    except Exception as error:  # a bug in one must not take the others along
        why = f"{type(error).__name__}: {error}"
    return Look(wanted.name, wanted.title, result, why, time.perf_counter() - began)
