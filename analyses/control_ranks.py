"""How large a controller must be: added vectors against linear controllers of several ranks.

    e <- e + v_g        mean difference, or trained;        e <- e + B_g A_g e    rank 1, 2, ..

All at one layer, each trained for the same few steps on the same demonstrations, and tried as
:mod:`irl_lens.analyses.controllability` does: demonstrations, the held-out task, and the same
norm in random directions. (arXiv 2512.20605, Table A8, has rank 16 only.) A mean difference,
mean(e | g) - mean(e | not g), is not trained; its length is the one of a few multiples with
which the demonstrations it was taken from are likeliest. Short training favours what learns
fast, so the run's own controllers of that layer, trained for longer, are shown beside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch

from irl_lens.analyses.claims import Claim
from irl_lens.analyses.control_figure import PANELS, control_panels
from irl_lens.analyses.controllability import Closed, LayerControl, Trying, steered_nll
from irl_lens.analyses.estimates import Estimate, ratio
from irl_lens.analyses.findings import Bench
from irl_lens.analyses.heldout import Outcome
from irl_lens.analyses.probes import layer_streams
from irl_lens.analyses.readable import by_token
from irl_lens.analyses.result import Result
from irl_lens.analyses.sample import pieces
from irl_lens.analyses.statistics import permutation_pvalue
from irl_lens.analyses.style import styled
from irl_lens.config import ControllersConfig
from irl_lens.envs.trajectories import Trajectories
from irl_lens.hooks import ControllerBank, VectorController
from irl_lens.models.base import hook_name
from irl_lens.models.fast import FastPath
from irl_lens.runs import Run
from irl_lens.training.controllers import load_controllers, trained_banks

LENGTHS = (0.5, 1.0, 2.0, 4.0)
"""Multiples of the mean difference that are tried."""
SHOWN = 256
"""Most demonstrations that mean differences are taken from."""
VECTOR = "vector"


@dataclass(frozen=True)
class Sized:
    """Controllers of one size.

    Attributes:
        name: As in the figure.
        numbers: How many numbers one controller has.
        control: What they do.
        over_vector: Gap closed, less that of the trained vectors on the same episodes.
        p: Of that difference, by exchanging the two within episodes.
    """

    name: str
    numbers: int
    control: LayerControl
    over_vector: Estimate
    p: float


@dataclass(frozen=True)
class RankResult(Result):
    """See the module.

    Attributes:
        layer: Where all of them act.
        steps: Of training.
        batch: Demonstrations a step.
        sizes: Mean differences, trained vectors, ranks in rising order, the run's own.
        raw: The base alone on the held-out task.
    """

    layer: int
    steps: int
    batch: int
    sizes: tuple[Sized, ...]
    raw: Outcome

    @property
    def best(self) -> Sized:
        """The rank that closes most of the gap, among those trained alike."""
        ranks = [size for size in self.sizes if size.name.startswith("rank")]
        return max(ranks, key=lambda size: size.control.gap_closed.value)

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
        return styled(figure, f"How large a controller must be, layer {self.layer}", 480, **PANELS)

    def caption(self) -> str:
        """What each size closes of the gap, and whether a matrix does more than a vector."""
        parts = [f"{s.name} {s.control.gap_closed}" for s in self.sizes]
        best = self.best
        more = "more than" if best.over_vector.low > 0 and best.p < 0.05 else "no more than"
        beaten = [size.name for size in self.sizes if size.control.steers]
        return (
            f"Controllers of the true subgoal at layer {self.layer}, each trained for {self.steps} "
            f"steps of {self.batch} demonstrations. Of the gap to the known goal they close: "
            f"{'; '.join(parts)}. The best, {best.name}, closes {more} a trained vector "
            f"({best.over_vector}, p = {best.p:.3g}). Closing some, and more than random "
            f"directions: {', '.join(beaten) or 'none'}. On the held-out task {best.name} has "
            f"{best.control.outcome.sentence()}, the base alone {self.raw.sentence()}."
        )

    def claims(self) -> tuple[Claim, ...]:
        """Whether a matrix steers further than a vector."""
        best = self.best
        sentence = (
            f"At layer {self.layer}, controllers of {best.name} close {best.over_vector.value:.3f} "
            "more of the gap to the known goal than added vectors, trained alike."
        )
        tried = sum(size.name.startswith("rank") for size in self.sizes)
        return (Claim(sentence, best.over_vector.value, min(1.0, tried * best.p)),)


def control_by_rank(
    bench: Bench,
    layer: int | None = None,
    ranks: Sequence[int] = (1, 4, 16),
    steps: int = 150,
    batch: int = 32,
    lr: float = 1e-2,
    episodes: int = 512,
    rollouts: int = 256,
) -> RankResult:
    """Trains controllers of several sizes, and tries them.

    Args:
        bench: The run's parts; the labels are those of its controllers.
        layer: Where; by default where the run's own controllers do best, or half way up.
        ranks: Of the linear controllers.
        steps: Of training, for each size.
        batch: Demonstrations a step.
        lr: Learning rate, which falls to zero along half a cosine.
        episodes: Most demonstrations to try them on.
        rollouts: Most boards of the held-out task.

    Raises:
        ValueError: No ranks, or the base has no such layer.
    """
    bench = bench.pretrained
    layer = best_layer(bench.run) if layer is None else layer
    if not ranks or not 1 <= layer <= bench.base.model.n_layers:
        raise ValueError(
            f"ranks {tuple(ranks)} at layer {layer}; give at least one rank, and a layer from 1 to "
            f"{bench.base.model.n_layers}"
        )
    config = replace(
        bench.run.preset.controllers,
        layers=(layer,),
        steps=steps,
        batch=batch,
        lr=lr,
        schedule="cosine",
        targets="policy",
    )
    banks = {"mean difference": mean_differences(bench, config.label, layer)}
    banks |= _trained(bench, {VECTOR: replace(config, kind="vector")})
    banks |= _trained(
        bench, {f"rank {r}": replace(config, kind="low-rank", rank=r) for r in sorted(ranks)}
    )
    if bench.run.stage("controllers").done and layer in bench.run.preset.controllers.layers:
        banks["the run's own"] = load_controllers(bench.run)[layer]
    trial = replace(bench.trial, rows=min(rollouts, bench.trial.rows))
    trying = Trying.of(bench.base, config.label, bench.test.first(episodes), trial)
    found = {name: trying.control(layer, bank) for name, bank in banks.items()}
    vector = found[VECTOR][1]
    sizes = [
        _sized(name, banks[name], control, closed, vector, trying.gap)
        for name, (control, closed) in found.items()
    ]
    return RankResult(layer, steps, batch, tuple(sizes), trial.play(bench.base))


def best_layer(run: Run) -> int:
    """Where the run's own controllers have the lowest NLL; half way up when there are none."""
    stage, config = run.stage("controllers"), run.preset.controllers
    if not stage.done:
        return max(1, run.preset.base.n_layers // 2)
    return min(config.layers, key=lambda layer: stage.result[f"nll_layer{layer}"])


def mean_differences(bench: Bench, label: str, layer: int) -> ControllerBank:
    """Vectors from the mean stream of all other labels to that of each label.

    Args:
        bench: The run's parts.
        label: ``"subgoal"`` or ``"visit"``.
        layer: Where the stream is taken and they are added.

    Raises:
        ValueError: A label that no demonstration shows.
    """
    names = {"subgoal": bench.world.subgoal_names, "visit": bench.world.visit_names}[label]
    shown, at = bench.fit.rows(slice(SHOWN)), hook_name(layer)
    labels = torch.from_numpy(by_token(shown, label))[None]
    cache = {at: _stream(bench.base, shown, layer)[None]}
    vectors = {
        name: VectorController.from_difference(
            cache, cache, at, valid_a=labels == g, valid_b=labels != g
        )
        for g, name in enumerate(names)
    }
    stack = ControllerBank.of(vectors).stack
    assert isinstance(stack, VectorController)
    lengths = [ControllerBank(names, VectorController(k * stack.v, at)) for k in LENGTHS]
    return min(lengths, key=lambda b: steered_nll(bench.base, b, label, shown)[shown.mask].mean())


def _stream(base: FastPath, shown: Trajectories, layer: int) -> torch.Tensor:
    """The stream of every valid step at one layer, in the order of ``by_token``."""
    found = [(layer_streams(base, p, (layer,))[0], p.mask) for _, p in pieces(shown)]
    return torch.cat([stream[torch.from_numpy(mask)] for stream, mask in found])


def _trained(bench: Bench, configs: dict[str, ControllersConfig]) -> dict[str, ControllerBank]:
    found = {}
    for name, config in configs.items():
        banks = trained_banks(config, bench.world, bench.base, bench.run.seed)
        found[name] = banks[config.layers[0]]
    return found


def _sized(
    name: str,
    bank: ControllerBank,
    control: LayerControl,
    closed: Closed,
    vector: Closed,
    gap: Closed,
) -> Sized:
    numbers = sum(tensor[0].numel() for tensor in bank.stack.tensors().values())
    p = permutation_pvalue(closed, vector) if np.any(closed != vector) else 1.0
    return Sized(name, numbers, control, ratio(closed - vector, gap), p)
