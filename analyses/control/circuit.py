"""The circuit that a controller recruits: which heads and MLPs carry what it does.

Controllers of the true subgoals act at one layer of demonstrations, at every step, and the run
is compared with the same one without them, in two ways
(:mod:`irl_lens.analyses.control.on_off_runs`): by direct attribution, what each later head and MLP
*writes* of the change in logits; and causally, what is *lost* of it when that part's output is put
back to what it was without the controller.

The null is the same of controllers that change the stream by as much in random directions:
several, U' = Q U, each with the two actions that it moves most itself. A part is said to be
recruited if its share is beyond chance twice, both after Benjamini and Hochberg: over episodes
(exchanging the share with the random controllers' mean) and over controllers (as one more random
controller's, by Student's t: (x - mean) / (s sqrt(1 + 1/K)), K - 1 degrees of freedom).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from jaxtyping import Bool, Int
from plotly.subplots import make_subplots
from transformer_lens import HookedTransformer

from irl_lens.analyses.control.on_off_runs import ALL, Switched
from irl_lens.analyses.control.part_shares import ALPHA, Share, measure, shares_of
from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.label_controllers import LabelControllers, Source
from irl_lens.analyses.core.labels import labels_of
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.options import Count, Index, Seed
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.figures.intervals import one_legend, with_intervals
from irl_lens.analyses.figures.style import GREY, MAIN, styled
from irl_lens.analyses.stats.estimates import Estimate, ratio
from irl_lens.arrays import NDArray
from irl_lens.errors import UserError
from irl_lens.hooks import ControllerBank


@dataclass(frozen=True)
class Circuit(Result):
    """See the module.

    Attributes:
        source: Where the controllers come from.
        layer: Where they act.
        effect: What they move the two actions' logits apart at a step [nats].
        random_effect: Mean of the same of the random controllers.
        changed: Share of steps at which they make the base prefer another action.
        written: Direct shares; they add up to 1.
        lost: Causal shares of the heads and MLPs after the controller.
        every: What is lost with all of these as they were off at once.
        draws: Random controllers.
    """

    source: str
    layer: int
    effect: Estimate
    random_effect: float
    changed: float
    written: tuple[Share, ...]
    lost: tuple[Share, ...]
    every: Share
    draws: int

    @property
    def recruited(self) -> tuple[Share, ...]:
        """Heads and MLPs whose loss is beyond the null, the largest first."""
        found = [share for share in self.lost if share.beyond]
        return tuple(sorted(found, key=lambda share: -share.value.value))

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a part and way of attribution."""
        rows = [
            {"attribution": kind, "part": share.name}
            | share.value.columns("share")
            | share.null.columns("null")
            | {"p": share.p, "p_controllers": share.p_controllers, "beyond": share.beyond}
            for kind, shares in (("written", self.written), ("lost", (*self.lost, self.every)))
            for share in shares
        ]
        return pd.DataFrame(rows)

    def figure(self) -> go.Figure:
        """Draws what is lost without each part, and below what each part writes."""
        titles = (
            "lost when it is as without the controller (* beyond the null)",
            "written directly to the two actions' logits",
        )
        figure = make_subplots(2, 1, subplot_titles=titles, vertical_spacing=0.22)
        for row, shares in enumerate(((*self.lost, self.every), self.written), start=1):
            _bars(figure, row, shares)
            figure.update_yaxes(title="share of the effect", row=row, col=1)
        figure.update_xaxes(tickangle=-60, showgrid=False)
        layout = {"legend": {"y": 1.07}, "margin": {"t": 120, "l": 110}}
        return styled(figure, f"What controllers at layer {self.layer} recruit", 680, **layout)

    def caption(self) -> str:
        """Names the parts that carry the effect, and says whether random controllers' do too."""
        largest = sorted(self.lost, key=lambda share: -share.value.value)[:3]
        by_hand = {share.name: share for share in self.written}["controller"]
        recruited = ", ".join(share.name for share in self.recruited) or "none"
        return (
            f"{CONTROLLERS[self.source]} at layer {self.layer}, the true label given at every "
            f"step: they move the logits of the two actions they act on most apart by "
            f"{self.effect.value:.2f} nats a step (the same norm in random directions "
            f"{self.random_effect:.2f}) and make the base prefer another action at "
            f"{self.changed:.1%} of steps. ".replace("%", " %")
            + f"With all later heads and MLPs as without them, {_said(self.every)} of the effect "
            f"is lost; alone, most with {'; '.join(f'{s.name} {_said(s)}' for s in largest)}. "
            f"Written directly by the controller itself: {_said(by_hand)}. Carrying more than "
            f"under {self.draws} random controllers: {recruited}. That is p < {ALPHA}, adjusted "
            "for all parts (Benjamini and Hochberg)."
        )

    def claims(self) -> tuple[Claim, ...]:
        """The part that carries most beyond the null."""
        top = max(self.lost, key=lambda share: share.value.value - share.null.value)
        sentence = (
            f"Of what {CONTROLLERS[self.source].lower()} at layer {self.layer} do, {_said(top)} "
            f"is lost without {top.name}; recruited beyond random controllers: "
            f"{', '.join(share.name for share in self.recruited) or 'none'}."
        )
        effect = top.value.value - top.null.value
        return (Claim(sentence, effect, max(top.p, top.p_controllers)),)


CONTROLLERS = {"controllers": "Supervised controllers", "codes": "Controllers of codes"}


def circuit(
    loaded: LoadedRun,
    source: Source = "controllers",
    layer: Index | None = None,
    episodes: Count = 48,
    draws: Count = 8,
    seed: Seed = 0,
) -> Circuit:
    """Finds out what the controllers of a run recruit.

    Args:
        loaded: The run's parts.
        source: Supervised controllers, or those of codes.
        layer: Layer of the controllers; by default the one where they do best.
        episodes: Demonstrations.
        draws: Random controllers.
        seed: Seed of the random controllers.

    Raises:
        UserError: No controllers at that layer, no block after it, or they change nothing.
    """
    controllers = LabelControllers.of(loaded, source)
    if layer is None:
        layer = controllers.best
    bank, shown = controllers.at(layer), controllers.loaded.test.trajectories.rows(slice(episodes))
    model, labels = controllers.loaded.base.model.hooked, labels_of(shown, controllers.label)
    if layer >= model.cfg.n_layers:
        raise UserError(f"no block comes after layer {layer}; take controllers of a lower one")
    given = labels, shown.observations, shown.mask
    return recruited(model, layer, bank, *given, draws=draws, seed=seed, source=source)


def recruited(
    model: HookedTransformer,
    layer: int,
    bank: ControllerBank,
    labels: Int[NDArray[np.int64], "episodes steps"],
    observations: Int[NDArray[np.int32], "episodes steps columns"],
    mask: Bool[NDArray[np.bool_], "episodes steps"],
    draws: int = 8,
    seed: int = 0,
    source: str = "controllers",
) -> Circuit:
    """Compares controllers with random ones; see :func:`circuit`.

    Args:
        model: The base model.
        layer: Where the controllers act.
        bank: The controllers.
        labels: Which of them at each step.
        observations: Sparse observations.
        mask: The steps that count.
        draws: Random controllers, two or more.
        seed: Seed of the random controllers.
        source: Where the controllers come from, for the caption.

    Raises:
        UserError: The controllers change nothing.
        ValueError: Fewer than two random controllers.
    """
    if draws < 2:
        raise ValueError(f"{draws} random controllers; take two or more to see how they differ")
    numbers = torch.from_numpy(labels)
    banks = (bank, *(bank.null(seed + k) for k in range(draws)))
    runs = (Switched.of(model, layer, b.labelled(numbers), observations, mask) for b in banks)
    measured = [measure(run) for run in runs]
    own, random = measured[0], measured[1:]
    if not own.effect.any():
        raise UserError(f"the controllers at layer {layer} change no logit; nothing to attribute")
    steps = mask.sum(axis=1)
    lost = shares_of(own.names[1], own.lost, own.effect, [r.lost for r in random], random)
    return Circuit(
        source,
        layer,
        ratio(own.effect, steps),
        float(np.mean([r.effect.sum() / steps.sum() for r in random])),
        own.changed,
        shares_of(own.names[0], own.written, own.effect, [r.written for r in random], random),
        tuple(share for share in lost if share.name != ALL),
        next(share for share in lost if share.name == ALL),
        draws,
    )


def _bars(figure: go.Figure, row: int, shares: Sequence[Share]) -> None:
    curves = {
        "controller": ([s.value for s in shares], MAIN),
        "random controllers (lowest to highest)": ([s.null for s in shares], GREY),
    }
    for name, (estimates, colour) in curves.items():
        figure.add_bar(
            x=[s.name + " *" * s.beyond for s in shares],
            **with_intervals(estimates, thickness=1, width=2),
            **one_legend(name, row == 1),
            marker_color=colour,
            row=row,
            col=1,
        )


def _said(share: Share) -> str:
    return f"{share.value} (random {share.null.value:.3f})"
