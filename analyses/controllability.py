"""At which layer the base can be steered, with the true subgoal given.

    gap closed = (base NLL - NLL with controllers) / (base NLL - NLL with the goal known)

Supervised controllers, the true subgoal's active at each step (arXiv 2512.20605, Fig. 4,
App. C.2): on fresh demonstrations, and on the held-out task with the true subgoals in order,
which no demonstration shows. They bound what any abstract action could do at their layer.
The control writes in random directions: U' = Q U, Q a random rotation for each controller,
changes the stream by exactly as much as U at every step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from irl_lens.analyses.estimates import Estimate, ratio, step_mean
from irl_lens.analyses.heldout import Outcome, Trial
from irl_lens.analyses.sample import Sample, action_log_probs, taken
from irl_lens.analyses.style import CONTRAST, GREY, MAIN, styled
from irl_lens.envs.trajectories import Trajectories
from irl_lens.hooks import ControllerBank, LowRankController
from irl_lens.models.fast import FastPath, HookList
from irl_lens.rl.oracle import OracleControllers


@dataclass(frozen=True)
class LayerControl:
    """What the controllers of one layer do.

    Attributes:
        layer: Output of which block.
        nll: Action NLL with them [nats].
        gap_closed: See the module.
        outcome: Held-out task, true subgoals in order.
        random: The same with the control.
    """

    layer: int
    nll: Estimate
    gap_closed: Estimate
    outcome: Outcome
    random: Outcome


@dataclass(frozen=True)
class ControlResult:
    """Controllers by layer, and the base alone.

    Attributes:
        layers: One a layer that has controllers.
        raw: The base alone on the held-out task.
        label: Which subgoals have controllers: ``"subgoal"`` (abstract) or ``"visit"``.
    """

    layers: tuple[LayerControl, ...]
    raw: Outcome
    label: str

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
        rows = [
            {"layer": x.layer}
            | x.nll.columns("nll")
            | x.gap_closed.columns("gap_closed")
            | x.outcome.columns()
            | x.random.columns("random_")
            for x in self.layers
        ]
        return pd.DataFrame(rows)

    def figure(self) -> go.Figure:
        """Draws gap closed, success and subgoals reached by layer."""
        titles = ("gap closed", "success, solvable boards", "subgoals reached")
        figure = make_subplots(cols=3, subplot_titles=titles)
        self._panel(figure, 1, [("true subgoal", MAIN, [x.gap_closed for x in self.layers])])
        for column, field in ((2, "success_solvable"), (3, "subgoals")):
            kinds = {
                "true subgoal": (MAIN, [getattr(x.outcome, field) for x in self.layers]),
                "random, same norm": (CONTRAST, [getattr(x.random, field) for x in self.layers]),
                "base alone": (GREY, [getattr(self.raw, field)] * len(self.layers)),
            }
            self._panel(figure, column, [(name, *rest) for name, rest in kinds.items()])
        figure.update_xaxes(title="output of block", type="category", showgrid=False)
        figure.update_yaxes(rangemode="tozero")
        layout = {"legend": {"y": 1.12}, "margin": {"t": 120}}
        return styled(figure, "Steering with the true subgoal", 420, **layout)

    def _panel(
        self, figure: go.Figure, column: int, bars: list[tuple[str, str, list[Estimate]]]
    ) -> None:
        for name, colour, estimates in bars:
            figure.add_bar(
                x=[str(x.layer) for x in self.layers],
                y=[e.value for e in estimates],
                error_y={
                    "array": [e.high - e.value for e in estimates],
                    "arrayminus": [e.value - e.low for e in estimates],
                    "thickness": 1,
                    "width": 3,
                },
                name=name,
                marker_color=colour,
                legendgroup=name,
                showlegend=column == 2,
                row=1,
                col=column,
            )


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
    found = action_log_probs(base, sample.trajectories) if log_probs is None else log_probs
    alone = -taken(found, sample.trajectories)
    layers = [_layer(base, n, bank, label, sample, trial, alone) for n, bank in banks.items()]
    return ControlResult(tuple(layers), trial.play(base), label)


def rotated(bank: ControllerBank, seed: int = 0) -> ControllerBank:
    """Returns controllers that change the stream by as much, in random directions.

    Raises:
        ValueError: The bank's controllers are not of low rank.
    """
    stack = bank.stack
    if not isinstance(stack, LowRankController):
        raise ValueError(f"controllers are {type(stack).__name__}; only low-rank ones are rotated")
    generator = torch.Generator().manual_seed(seed)
    square = torch.randn(len(bank), stack.d_model, stack.d_model, generator=generator)
    rotations = torch.linalg.qr(square).Q
    return ControllerBank(
        bank.names,
        LowRankController(stack.A.detach(), rotations @ stack.B.detach(), bank.hook_name),
    )


def _layer(
    base: FastPath,
    layer: int,
    bank: ControllerBank,
    label: str,
    sample: Sample,
    trial: Trial,
    alone: Float[NDArray[np.float32], "n steps"],
) -> LayerControl:
    def hooks(piece: Trajectories) -> HookList:
        labels = {"subgoal": piece.subgoals, "visit": piece.visits}[label]
        return bank.labelled(torch.from_numpy(labels)).fwd_hooks()

    trajectories, mask = sample.trajectories, sample.trajectories.mask
    steered = -taken(action_log_probs(base, trajectories, hooks), trajectories)
    known = -np.log(np.where(mask, taken(sample.floor.known, trajectories), 1))
    closed, open_before = (np.where(mask, alone - x, 0).sum(axis=1) for x in (steered, known))
    oracle, control = OracleControllers(bank, label), OracleControllers(rotated(bank), label)
    return LayerControl(
        layer,
        step_mean(steered, mask),
        ratio(closed, open_before),
        trial.play(base, oracle),
        trial.play(base, control),
    )
