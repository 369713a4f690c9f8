"""How large a controller must be: added vectors against linear controllers of several ranks.

    e <- e + v_g    mean difference, or trained;    e <- e + B_g A_g e    rank 1, 2, ..

All at one layer of one base, each from a run whose controllers were trained alike but for
their kind and rank, and tried as :mod:`irl_lens.analyses.control.by_layer` does: on
demonstrations, on the held-out task, and against the same norm in random directions. (arXiv
2512.20605, Table A8, has rank 16 only.) The mean difference is not trained
(:mod:`irl_lens.analyses.control.mean_differences`). Short training favours what learns fast. Runs
to compare are made by

    irl-lens sweep controllers --preset P --base RUN --out DIR --over controllers.kind=vector
    irl-lens sweep controllers --preset P --base RUN --out DIR --over controllers.rank=1 ..
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import nan
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from irl_lens.analyses.control.by_layer import Closed, Trying, adjusted
from irl_lens.analyses.control.layer_control import LayerControl
from irl_lens.analyses.control.mean_differences import mean_differences
from irl_lens.analyses.control.panels import control_panels
from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.options import Count, Index
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.core.trial import Outcome
from irl_lens.analyses.figures.intervals import ABOVE_PANELS
from irl_lens.analyses.figures.style import styled
from irl_lens.analyses.stats.estimates import Estimate, ratio
from irl_lens.analyses.stats.significance import holm, permutation_pvalue
from irl_lens.errors import UserError
from irl_lens.hooks import Controller, ControllerBank, VectorController, controller_kind
from irl_lens.progress import Progress, QuietProgress
from irl_lens.runs.folder import first_difference
from irl_lens.runs.run import Run

MEAN, VECTOR = "mean difference", VectorController.title(rank=0)


@dataclass(frozen=True)
class Sized:
    """Controllers of one size.

    Attributes:
        name: As in the figure.
        numbers: How many numbers one controller has.
        constant: Whether they add the same, whatever the stream is.
        control: What they do; p adjusted for all sizes.
        over_vector: Gap closed, less that of the trained vectors on the same episodes, or of
            the mean differences if no vectors were trained.
        p: p-value of that difference, by exchanging the two within episodes; adjusted for all that
            are held against the vectors.
    """

    name: str
    numbers: int
    constant: bool
    control: LayerControl
    over_vector: Estimate
    p: float


@dataclass(frozen=True)
class RankResult(Result):
    """See the module.

    Attributes:
        layer: Where all of them act.
        steps: Steps of training.
        batch: Demonstrations a step.
        sizes: Mean differences, trained vectors, then by the number of their numbers.
        raw: The base alone on the held-out task.
    """

    layer: int
    steps: int
    batch: int
    sizes: tuple[Sized, ...]
    raw: Outcome

    @property
    def best(self) -> Sized:
        """The matrices that close most of the gap."""
        matrices = [size for size in self.sizes if not size.constant]
        return max(matrices, key=lambda size: size.control.gap_closed.value)

    @property
    def vector(self) -> str:
        """What matrices are held against."""
        return "a trained vector" if VECTOR in (s.name for s in self.sizes) else "a mean difference"

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a size."""
        rows = [
            {"controller": size.name, "numbers": size.numbers}
            | size.control.columns()
            | size.over_vector.columns("over_vector")
            | {"over_vector_p": size.p}
            for size in self.sizes
        ]
        return pd.DataFrame(rows)

    def figure(self) -> go.Figure:
        """Draws gap closed, success and subgoals reached by size."""
        figure = control_panels(
            [size.name for size in self.sizes], [size.control for size in self.sizes], self.raw
        )
        figure.update_xaxes(tickangle=-40)
        return styled(
            figure, f"How large a controller must be, layer {self.layer}", 480, **ABOVE_PANELS
        )

    def caption(self) -> str:
        """What each size closes of the gap, and whether a matrix does more than a vector."""
        parts = [f"{s.name} {s.control.gap_closed}" for s in self.sizes]
        best = self.best
        more = "more than" if best.over_vector.low > 0 and best.p < 0.05 else "no more than"
        beaten = [size.name for size in self.sizes if size.control.steers]
        return (
            f"Controllers of the true subgoal at layer {self.layer}, each trained for {self.steps} "
            f"steps of {self.batch} demonstrations. Of the gap to the known goal they close: "
            f"{'; '.join(parts)}. The best, {best.name}, closes {more} {self.vector} "
            f"({best.over_vector}, p = {best.p:.3g}, adjusted by Holm). Closing some, and more "
            f"than random directions: {', '.join(beaten) or 'none'}. On the held-out task "
            f"{best.name} has {best.control.outcome.sentence()}, the base alone "
            f"{self.raw.sentence()}."
        )

    def claims(self) -> tuple[Claim, ...]:
        """Whether a matrix steers further than a vector."""
        best = self.best
        sentence = (
            f"At layer {self.layer}, controllers of {best.name} close {best.over_vector.value:.3f} "
            f"more of the gap to the known goal than {self.vector}."
        )
        return (Claim(sentence, best.over_vector.value, best.p),)


def control_by_rank(
    runs: Sequence[Run],
    progress: Progress | None = None,
    layer: Index | None = None,
    episodes: Count = 512,
    rollouts: Count = 256,
) -> RankResult:
    """Tries the supervised controllers of runs that differ in their kind or rank.

    Args:
        runs: Runs of one base, whose controllers were trained alike otherwise.
        progress: Told of every size.
        layer: Where; by default where any of them predicts actions best.
        episodes: Most demonstrations to try them on.
        rollouts: Most boards of the held-out task.

    Raises:
        UserError: There is no run with matrices, one has no controllers, two have the same
            kind and rank, or runs differ in something else.
    """
    _check(runs)
    progress = progress or QuietProgress()
    config, loaded = runs[0].preset.controllers, LoadedRun(runs[0]).pretrained
    layer = _best_layer(runs) if layer is None else layer
    if layer not in config.layers:
        known = ", ".join(map(str, config.layers))
        raise UserError(f"no controllers at layer {layer}; there are some at {known}")
    banks = {MEAN: mean_differences(loaded, config.label, layer)}
    banks |= _in_order({_name(run): run.controllers[layer] for run in runs})
    trial = replace(loaded.trial, rows=min(rollouts, loaded.trial.rows))
    trying = Trying.of(loaded.base, config.label, loaded.test.first(episodes), trial)
    progress.stage("control by rank", len(banks))
    found = {}
    for done, (name, bank) in enumerate(banks.items(), start=1):
        found[name] = trying.control(layer, bank)
        progress.update(done)
    vector = found[VECTOR if VECTOR in found else MEAN][1]
    sizes = [
        _sized(name, banks[name], control, closed, vector, trying.gap)
        for name, (control, closed) in found.items()
    ]
    raw = trial.play(loaded.base)
    return RankResult(layer, config.steps, config.batch, _adjusted(sizes), raw)


def _check(runs: Sequence[Run]) -> None:
    for run in runs:
        if not run.stage("controllers").done:
            raise UserError(
                f"{run.folder} has no controllers; first: irl-lens train controllers --preset "
                f"{run.preset.name} --out {run.folder}"
            )
        one, other = (_settings(each) for each in (runs[0], run))
        if one != other:
            was, now = first_difference(one, other)
            raise UserError(
                f"{runs[0].folder} has {was} and {run.folder} {now}; compare runs of one base "
                "whose controllers differ in kind and rank alone"
            )
    names = [_name(run) for run in runs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"two of the runs have controllers of {twice}; take one of each size")
    if all(_kind(run).constant for run in runs):
        raise UserError(
            "control by rank needs a run with matrices; first: irl-lens sweep controllers "
            "--preset P --base RUN --over controllers.rank=1 controllers.rank=4"
        )


def _settings(run: Run) -> dict[str, Any]:
    """What must be the same."""
    parts = run.preset.to_dict()
    alike = {k: v for k, v in parts["controllers"].items() if k not in ("kind", "rank")}
    base = run.fresh().pretrained.hash()
    return {"world": parts["world"], "base": {"hash": base}, "controllers": alike}


def _kind(run: Run) -> type[Controller]:
    return controller_kind(run.preset.controllers.kind)


def _name(run: Run) -> str:
    return _kind(run).title(run.preset.controllers.rank)


def _best_layer(runs: Sequence[Run]) -> int:
    """Where one of the runs has the lowest NLL."""
    results = [run.stage("controllers").result for run in runs]
    layers = runs[0].preset.controllers.layers
    return min(layers, key=lambda layer: min(result[f"nll_layer{layer}"] for result in results))


def _in_order(banks: dict[str, ControllerBank]) -> dict[str, ControllerBank]:
    return dict(sorted(banks.items(), key=lambda pair: _numbers(pair[1])))


def _numbers(bank: ControllerBank) -> int:
    """How many numbers one controller has."""
    return sum(tensor[0].numel() for tensor in bank.stack.tensors().values())


def _adjusted(sizes: Sequence[Sized]) -> tuple[Sized, ...]:
    """For there being several, both of what they do and of what vectors do not."""
    controls = adjusted([size.control for size in sizes])
    matrices = [nan if size.constant else size.p for size in sizes]
    p = [q if q == q else size.p for size, q in zip(sizes, holm(matrices), strict=True)]
    found = zip(sizes, controls, p, strict=True)
    return tuple(replace(size, control=control, p=q) for size, control, q in found)


def _sized(
    name: str,
    bank: ControllerBank,
    control: LayerControl,
    closed: Closed,
    vector: Closed,
    gap: Closed,
) -> Sized:
    p = permutation_pvalue(closed, vector) if np.any(closed != vector) else 1.0
    constant = bank.stack.constant
    return Sized(name, _numbers(bank), constant, control, ratio(closed - vector, gap), p)
