"""Rate against distortion of discovery over a set of runs: what codes cost, and what they buy.

    rate = KL(N(mu_t, Sigma_t) || N(0, I)),   distortion = -ln p(a_t | o_1..t, z_1..t)

in nats a step, each run one point, by its alpha and seed, its base frozen or trained too (arXiv
2512.20605, Fig. 7, which marks by hand where switching is aligned with subgoals; here the gate
is scored). All runs meet the same fresh demonstrations. What is measured is the metacontroller
of discovery, whatever codes were learned after it. Controls: the base without codes, and for
the gate its own switches moved round each episode (:mod:`irl_lens.analyses.gate.boundary_f1`). A
run's intervals are over episodes; frozen and co-trained bases are compared over runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import nan
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from irl_lens.analyses.codes.rate_distortion_figure import draw
from irl_lens.analyses.codes.rate_distortion_point import Point, measure
from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.gate.event_scores import later
from irl_lens.analyses.stats.significance import permutation_pvalue
from irl_lens.config.schema import Preset
from irl_lens.data.demonstrations import Demonstrations
from irl_lens.envs.registry import make_world
from irl_lens.errors import UserError
from irl_lens.progress import Progress, QuietProgress
from irl_lens.runs.folder import first_difference
from irl_lens.runs.run import Run


@dataclass(frozen=True)
class RateDistortion(Result):
    """See the module.

    Attributes:
        points: One a run, by frozen and co-trained, alpha and seed.
        boundaries: True ones an episode.
        bases: How many different pretrained bases the runs have.
        p: Of frozen and co-trained runs having the same F1 over its null; NaN with too few.
    """

    points: tuple[Point, ...]
    boundaries: float
    bases: int
    p: float

    def of(self, cotrained: bool) -> tuple[Point, ...]:
        """The runs with a frozen, or with a co-trained base."""
        return tuple(point for point in self.points if point.cotrained == cotrained)

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a run."""
        names = ("rate", "distortion", "without", "switches", "f1", "null")
        rows = []
        for point in self.points:
            row = {name: getattr(point, name) for name in ("run", "seed", "alpha", "cotrained")}
            for name in names:
                row |= getattr(point, name).columns(name)
            rows.append(row | {"f1_split": point.split, "aligned": point.aligned})
        return pd.DataFrame(rows)

    def figure(self) -> go.Figure:
        """Draws distortion and switches over the rate, coloured by alignment."""
        return draw(self.points, self.boundaries)

    def caption(self) -> str:
        """Says where switching is aligned, and whether training the base takes that away."""
        alphas, seeds = (len({getattr(p, x) for p in self.points}) for x in ("alpha", "seed"))
        sizes = {"alpha": alphas, "seed": seeds, "pretrained base": self.bases}
        counts = ", ".join(f"{n} {what}{'s' * (n > 1)}" for what, n in sizes.items())
        parts = [_sentence(self.of(trained)) for trained in (False, True) if self.of(trained)]
        return (
            f"{len(self.points)} runs ({counts}) on the same demonstrations, with "
            f"{self.boundaries:.2f} true boundaries an episode. {' '.join(parts)} "
            f"{self._compared()} Aligned means an F1 whose interval over episodes is above 95 % "
            "of draws with the switches moved round the episode, each run on its own."
        )

    def claims(self) -> tuple[Claim, ...]:
        """The best alignment of each kind of base, and their difference."""
        found = []
        for trained in (False, True):
            if points := self.of(trained):
                best = max(points, key=lambda p: p.beyond)
                which = f"the best of {len(points)} gates" if len(points) > 1 else "the gate"
                sentence = f"{_kind(trained)}, {which} of discovery is at {_best(best)}."
                found.append(Claim.against(sentence, best.f1, best.null, tried=len(points)))
        if len(found) == 2:
            found.append(Claim(self._compared(), self._difference(), self.p))
        return tuple(found)

    def _difference(self) -> float:
        means = [fmean(p.beyond for p in self.of(t)) for t in (False, True)]
        return means[0] - means[1]

    def _compared(self) -> str:
        if not self.of(False) or not self.of(True):
            return (
                f"There is no {'frozen' if self.of(True) else 'co-trained'} base to compare with."
            )
        verdict = "" if self.p < 0.05 else "; this may be chance"
        return (
            f"Over its null, F1 is {self._difference():+.3f} from a co-trained to a frozen base "
            f"(mean over runs, p = {self.p:.3g}{verdict})."
        )


def rate_distortion(
    runs: Sequence[Run],
    progress: Progress | None = None,
    episodes: int | None = None,
    seed: int = 0,
) -> RateDistortion:
    """Measures discovery of every run.

    Args:
        runs: Runs whose settings up to discovery differ in alpha, seed, and whether the base
            was trained too.
        progress: Told of every run.
        episodes: Demonstrations; as many as the first run's evaluation takes if not given.
        seed: Of the demonstrations and of the codes that are drawn.

    Raises:
        UserError: There is none, or two of them differ in other settings.
        CheckpointError: Discovery of one of them is not finished.
    """
    _check(runs)
    progress = progress or QuietProgress()
    progress.stage("rate-distortion", len(runs))
    n = episodes or runs[0].preset.evaluation.trajectories
    sample = Demonstrations(make_world(runs[0].preset.world), seed, "analysis-rate-distortion", n)[
        0
    ]
    points = []
    for done, run in enumerate(runs, start=1):
        points.append(measure(run, sample, seed))
        progress.update(done)
    points.sort(key=lambda p: (p.cotrained, p.alpha, p.seed, p.run))
    boundaries = later(sample.boundaries(), sample.mask).sum() / len(sample)
    bases = len({run.fresh().pretrained.hash() for run in runs})
    return RateDistortion(tuple(points), float(boundaries), bases, compare(points))


def compare(points: Sequence[Point]) -> float:
    """The p-value of F1 over its null between frozen and co-trained runs, NaN with too few.

    Runs are paired by alpha and seed where each has just one counterpart.
    """
    sides = [sorted((p for p in points if p.cotrained == t), key=_key) for t in (False, True)]
    if min(map(len, sides)) < 2:
        return nan
    keys = [[_key(p) for p in side] for side in sides]
    paired = keys[0] == keys[1] and len(set(keys[0])) == len(keys[0])
    one, other = (np.array([p.beyond for p in side]) for side in sides)
    return permutation_pvalue(one, other, paired)


def _key(point: Point) -> tuple[float, int]:
    return point.alpha, point.seed


def _check(runs: Sequence[Run]) -> None:
    if not runs:
        raise UserError("rate-distortion needs at least one run")
    trained = [run for run in runs if run.cotrained]
    for group, rate in ((runs, False), (trained, True)):
        for run in group:
            wanted, own = (_settings(x.preset, rate) for x in (group[0], run))
            if wanted != own:
                was, now = first_difference(wanted, own)
                raise UserError(
                    f"{group[0].folder} has {was} and {run.folder} {now}; compare runs that "
                    "differ in alpha, seed and whether the base was trained too"
                )


def _settings(preset: Preset, rate: bool) -> dict[str, Any]:
    """What must be the same; the base's rate among those that have one."""
    discovery = replace(preset.discovery, alpha=())
    if not rate:
        discovery = replace(discovery, base_lr=0.0)
    plain = replace(preset, discovery=discovery).to_dict()
    return {part: plain[part] for part in ("world", "base", "pretrain", "discovery")}


def _kind(cotrained: bool) -> str:
    return "With the base trained too" if cotrained else "With the base frozen"


def _best(point: Point) -> str:
    return f"F1 {point.f1} (alpha {point.alpha:g}, shifted {point.null.value:.3f})"


def _sentence(points: Sequence[Point]) -> str:
    aligned = [p for p in points if p.aligned]
    best = max(points, key=lambda p: p.beyond)
    rates, losses, without, switches = (
        [getattr(p, name).value for p in points]
        for name in ("rate", "distortion", "without", "switches")
    )
    found = f"aligned in {len(aligned)} of {len(points)}, best {_best(best)}"
    if not aligned:
        found = f"aligned in none of {len(points)}"
    return (
        f"{_kind(points[0].cotrained)}, the rate is {min(rates):.3g} to {max(rates):.3g} nats a "
        f"step and the distortion {min(losses):.3f} to {max(losses):.3f} (without codes "
        f"{np.median(without):.3f}); the median gate opens {np.median(switches):.2f} times an "
        f"episode after the first step; it is {found}."
    )
