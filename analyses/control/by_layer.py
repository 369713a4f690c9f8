"""At which layer the base can be steered, with the true subgoal given.

    gap closed = (base NLL - NLL with controllers) / (base NLL - NLL with the goal known)

Supervised controllers, the true subgoal's active at each step (arXiv 2512.20605, Fig. 4,
App. C.2): on fresh demonstrations, and on the held-out task with the true subgoals in order,
which no demonstration shows. They bound what any abstract action could do at their layer.
The control writes in random directions: U' = Q U, Q a random rotation for each controller,
changes the stream by exactly as much as U at every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import nan

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from jaxtyping import Float

from irl_lens.analyses.control.layer_control import LayerControl
from irl_lens.analyses.control.panels import control_panels
from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.demonstrations import Sample, action_log_probs, action_nll, taken
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.core.trial import Outcome, Trial, percent
from irl_lens.analyses.figures.intervals import ABOVE_PANELS
from irl_lens.analyses.figures.style import styled
from irl_lens.analyses.stats.estimates import Estimate, ratio, step_mean
from irl_lens.analyses.stats.significance import holm, permutation_pvalue
from irl_lens.arrays import NDArray
from irl_lens.envs.trajectories import Trajectories
from irl_lens.hooks import (
    ControllerBank,
)
from irl_lens.models.fast import FastPath, HookList
from irl_lens.models.heads.categorical import Categorical
from irl_lens.rl.oracle import OracleControllers
from irl_lens.training.parallel import in_threads

Closed = Float[NDArray[np.floating], " n"]


@dataclass(frozen=True)
class ControlResult(Result):
    """Controllers by layer, and the base alone.

    Attributes:
        layers: One a layer that has controllers.
        raw: The base alone on the held-out task.
        label: Which subgoals have controllers: ``"subgoal"`` (abstract) or ``"visit"``.
        subgoals: How many subgoals the held-out task has.
    """

    layers: tuple[LayerControl, ...]
    raw: Outcome
    label: str
    subgoals: int

    @property
    def most_closed(self) -> LayerControl:
        """The layer that closes most of the gap."""
        return max(self.layers, key=lambda layer: layer.gap_closed.value)

    @property
    def most_successful(self) -> LayerControl:
        """The layer of highest success; of equals, the one that reaches more subgoals."""
        key = lambda x: (x.outcome.success_solvable.value, x.outcome.subgoals.value)  # noqa: E731
        return max(self.layers, key=key)

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a layer."""
        return pd.DataFrame([{"layer": x.layer} | x.columns() for x in self.layers])

    def caption(self) -> str:
        """Where they steer best, on demonstrations and on the held-out task."""
        closed, best = self.most_closed, self.most_successful
        kind = "abstract subgoal" if self.label == "subgoal" else "single visit"
        sure = "" if best.p < 0.05 else ", which may be chance"
        gap = (
            f"On demonstrations they close {percent(closed.gap_closed.value)} of the gap between "
            f"the base and the known goal, most at layer {closed.layer} (in random directions "
            f"{percent(closed.random_gap_closed.value)}). "
        )
        return (
            f"One controller for each {kind}, the true one active at each step. "
            f"{gap if closed.gap_known else ''}On the held-out task, "
            f"{best.outcome.sentence()} at layer {best.layer}, against {best.random.sentence()} "
            f"with controllers of the same norm in random directions (p = {best.p:.3g} for the "
            f"subgoals reached, adjusted for {len(self.layers)} layers by Holm{sure}), and "
            f"{self.raw.sentence()} by the base alone."
        )

    def claims(self) -> tuple[Claim, ...]:
        """How much of the gap is closed against the control, and whether they steer further."""
        closed, best = self.most_closed, self.most_successful
        gap = (
            f"Controllers of the true subgoal close {percent(closed.gap_closed.value)} of the gap "
            f"to the known goal at layer {closed.layer}, in random directions "
            f"{percent(closed.random_gap_closed.value)}."
        )
        own, other = best.outcome.subgoals, best.random.subgoals
        reached = (
            f"On the held-out task they reach {own.value:.2f} subgoals at layer {best.layer}, in "
            f"random directions {other.value:.2f}."
        )
        tried = len(self.layers)
        share = (own.value - other.value) / self.subgoals if self.subgoals else nan
        steered = Claim(reached, share, best.p)
        if not closed.gap_known:
            return (steered,)
        return (
            Claim.against(gap, closed.gap_closed, closed.random_gap_closed, tried=tried),
            steered,
        )

    def figure(self) -> go.Figure:
        """Draws gap closed, success and subgoals reached by layer."""
        figure = control_panels([str(x.layer) for x in self.layers], self.layers, self.raw)
        figure.update_xaxes(title="output of layer")
        return styled(figure, "Steering with the true subgoal", 420, **ABOVE_PANELS)


def controllability(loaded: LoadedRun) -> ControlResult:
    """Measures the supervised controllers of every layer of a run."""
    label, banks = loaded.run.preset.controllers.label, loaded.run.controllers
    discrete = isinstance(loaded.base.action_head, Categorical)
    log_probs = loaded.log_probs if discrete else None
    return control_by_layer(loaded.base, banks, label, loaded.test, loaded.trial, log_probs)


def control_by_layer(
    base: FastPath,
    banks: dict[int, ControllerBank],
    label: str,
    sample: Sample,
    trial: Trial,
    log_probs: Float[NDArray[np.float32], "n steps actions"] | None = None,
) -> ControlResult:
    """Measures the controllers of every layer.

    Args:
        base: The base model.
        banks: Controllers by layer.
        label: ``"subgoal"`` or ``"visit"``: what the banks were trained on.
        sample: Fresh demonstrations, with the filter's beliefs.
        trial: How the held-out task is played.
        log_probs: The base's on the sample, when they are at hand.
    """
    trying = Trying.of(base, label, sample, trial, log_probs)
    layers = adjusted([trying.control(n, bank)[0] for n, bank in banks.items()])
    subgoals = len(trial.world.heldout_subgoals)
    return ControlResult(layers, trial.play(base), label, subgoals)


def adjusted(found: Sequence[LayerControl]) -> tuple[LayerControl, ...]:
    """Returns the same with p-values adjusted for there being several (Holm)."""
    pairs = zip(found, holm([control.p for control in found]), strict=True)
    return tuple(replace(control, p=p) for control, p in pairs)


@dataclass(frozen=True)
class Trying:
    """How controllers are tried: on demonstrations, and on the held-out task.

    Attributes:
        base: The base model.
        label: What the controllers are for.
        sample: Demonstrations.
        trial: The held-out task.
        alone: The base's own action NLL at every step [nats].
    """

    base: FastPath
    label: str
    sample: Sample
    trial: Trial
    alone: Float[NDArray[np.float32], "n steps"]

    @classmethod
    def of(
        cls,
        base: FastPath,
        label: str,
        sample: Sample,
        trial: Trial,
        log_probs: Float[NDArray[np.float32], "n steps actions"] | None = None,
    ) -> Trying:
        """Measures the base alone, when its log-probabilities are not at hand."""
        shown = sample.trajectories
        if not isinstance(base.action_head, Categorical):
            return cls(base, label, sample, trial, action_nll(base, shown))
        found = action_log_probs(base, shown) if log_probs is None else log_probs
        return cls(base, label, sample, trial, -taken(found, shown))

    def control(self, layer: int, bank: ControllerBank) -> tuple[LayerControl, Closed]:
        """Measures controllers and their control.

        Args:
            layer: Where they act.
            bank: The controllers.

        Returns:
            The measures, and how much of the gap the controllers close in each episode.
        """
        banks = bank, bank.null()
        nll = [self.nll(one) for one in banks]
        own, other = (self._share(x) for x in nll)
        hooks = [OracleControllers(x, self.label) for x in banks]
        runs = in_threads([partial(self.trial.rollout, self.base, hook) for hook in hooks])
        reached = [run.require("reached")[run.solvable] for run in runs]
        p = permutation_pvalue(reached[0], reached[1]) if len(reached[0]) > 1 else nan
        with_it, random = (Outcome.of(run) for run in runs)
        mean_nll = step_mean(nll[0], self.sample.trajectories.mask)
        found = LayerControl(layer, mean_nll, own, other, with_it, random, p)
        return found, self.closed(nll[0])

    def nll(self, bank: ControllerBank) -> Float[NDArray[np.floating], "n steps"]:
        """Action NLL at every step, the true subgoal's controller acting [nats]."""
        return steered_nll(self.base, bank, self.label, self.sample.trajectories)

    def closed(self, nll: Float[NDArray[np.floating], "n steps"]) -> Closed:
        """How much lower an NLL is than the base's, summed over each episode [nats]."""
        return np.where(self.sample.trajectories.mask, self.alone - nll, 0).sum(axis=1)

    def _share(self, nll: Float[NDArray[np.floating], "n steps"]) -> Estimate:
        """The share of the gap that is closed; NaN where the world has no filter."""
        known = self.sample.has_floor
        return ratio(self.closed(nll), self.gap) if known else Estimate(nan, nan, nan)

    @property
    def gap(self) -> Closed:
        """How much lower it would be with the goal known."""
        return self.closed(self.sample.floor.known)


def steered_nll(
    base: FastPath, bank: ControllerBank, label: str, shown: Trajectories
) -> Float[NDArray[np.floating], "n steps"]:
    """Action NLL at every step of demonstrations, the true label's controller acting [nats]."""

    def hooks(piece: Trajectories) -> HookList:
        labels = piece.require({"subgoal": "subgoals", "visit": "visits"}[label])
        return bank.labelled(torch.from_numpy(labels)).fwd_hooks()

    return action_nll(base, shown, hooks)
