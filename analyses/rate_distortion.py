"""Rate against distortion of discovery over a set of runs: what codes cost, and what they buy.

    rate = KL(N(mu_t, Sigma_t) || N(0, I)),   distortion = -ln p(a_t | o_1..t, z_1..t)

in nats a step, each run one point, by its alpha and seed, its base frozen or trained too (arXiv
2512.20605, Fig. 7, which marks by hand where switching is aligned with subgoals; here the gate
is scored). All runs meet the same fresh demonstrations. What is measured is the metacontroller
of discovery, whatever codes were learned after it. Controls: the base without codes, and for
the gate its own switches moved round each episode (:mod:`irl_lens.analyses.gate`). A run's
intervals are over episodes; frozen and co-trained bases are compared over runs.
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
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from irl_lens.analyses.claims import Claim
from irl_lens.analyses.estimates import Estimate, mean, step_mean
from irl_lens.analyses.gate import score_gate
from irl_lens.analyses.gate_scores import later
from irl_lens.analyses.rate_distortion_figure import draw
from irl_lens.analyses.result import Result
from irl_lens.analyses.sample import action_log_probs, pieces, taken
from irl_lens.analyses.statistics import permutation_pvalue
from irl_lens.config import Preset
from irl_lens.data import Stream
from irl_lens.envs.trajectories import Trajectories
from irl_lens.envs.worlds import make_world
from irl_lens.errors import UserError
from irl_lens.hooks import CodeController
from irl_lens.models.causal import CausalHalf
from irl_lens.models.fast import FastPath
from irl_lens.models.trace import MetaTrace, encode
from irl_lens.progress import Progress, QuietProgress
from irl_lens.runs import Run, first_difference
from irl_lens.training.discovery import load_discovered
from irl_lens.training.pretrain import load_base
from irl_lens.training.switches import SwitchCounts, two_levels


@dataclass(frozen=True)
class Point:
    """One run.

    Attributes:
        run: Its folder's name.
        seed: Its seed.
        alpha: Weight of the rate at the end of training.
        cotrained: Whether its base was trained too.
        rate: [nats a step].
        distortion: [nats a step].
        without: Distortion of its base without codes.
        switches: Of the hard gate (beta >= 1/2) an episode, the forced first one left out.
        f1: Of these against true boundaries, at the exact step.
        null: The same with switches moved round: mean, and central 95 % of the draws.
        split: F1 with the threshold that best splits the gates in two, as a half-open gate
            may be as regular as an open one.
    """

    run: str
    seed: int
    alpha: float
    cotrained: bool
    rate: Estimate
    distortion: Estimate
    without: Estimate
    switches: Estimate
    f1: Estimate
    null: Estimate
    split: float

    @property
    def beyond(self) -> float:
        """F1 over that of the switches moved round."""
        return self.f1.value - self.null.value

    @property
    def aligned(self) -> bool:
        """Whether the gate finds boundaries better than its switches moved round would."""
        return self.f1.low > self.null.high


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
        return draw(self)

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
    sample = Stream(make_world(runs[0].preset.world), seed, "analysis-rate-distortion", n)[0]
    points = []
    for done, run in enumerate(runs, start=1):
        points.append(measure(run, sample, seed))
        progress.update(done)
    points.sort(key=lambda p: (p.cotrained, p.alpha, p.seed, p.run))
    boundaries = later(sample.boundaries(), sample.mask).sum() / len(sample)
    bases = len({load_base(run, pretrained=True)[1].hash() for run in runs})
    return RateDistortion(tuple(points), float(boundaries), bases, compare(points))


def measure(run: Run, sample: Trajectories, seed: int = 0) -> Point:
    """Measures one run.

    Args:
        run: A run whose discovery is done.
        sample: Demonstrations.
        seed: Of the codes, which are drawn as in training, and of the null.
    """
    base = FastPath(load_base(run)[1], run.preset.pretrain.precision)
    meta = load_discovered(run)
    trace, mask, true = encode(meta, base, sample, seed), sample.mask, sample.boundaries()
    scores = score_gate(trace.switches, true, mask, seed)
    beta = trace.beta
    split = (beta >= two_levels(beta[:, 1:][mask[:, 1:]])) & mask
    return Point(
        run.folder.name,
        run.seed,
        max(run.preset.discovery.alpha)[1],
        run.cotrained,
        step_mean(trace.kl(), mask),
        step_mean(controlled_nll(meta, base, sample, trace), mask),
        step_mean(-taken(action_log_probs(base, sample), sample), mask),
        mean(later(trace.switches, mask).sum(axis=1)),
        scores.f1,
        scores.f1_null,
        SwitchCounts.of(split, true, mask).scores()["f1"],
    )


@torch.no_grad()
def controlled_nll(
    meta: CausalHalf, base: FastPath, sample: Trajectories, trace: MetaTrace
) -> Float[NDArray[np.float32], "n steps"]:
    """-ln p(action) of every step [nats] under the controllers of a trace's codes."""
    values = np.zeros(sample.mask.shape, np.float32)
    for index, piece in pieces(sample):
        steps = piece.mask.shape[1]
        codes = torch.from_numpy(trace.z[index, :steps])
        hooks = CodeController(meta.decoder, codes, meta.hook_name).fwd_hooks()
        logits = base.logits(torch.from_numpy(piece.observations), fwd_hooks=hooks)
        values[index, :steps] = -taken(logits.float().log_softmax(dim=-1).numpy(), piece)
    return np.where(sample.mask, values, 0)


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
