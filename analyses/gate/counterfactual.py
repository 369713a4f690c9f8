"""What if the gate had switched here, or had not?

Agents that take up a code drawn from the demonstrations' wherever the gate opens roam twice on
the same boards with the same noise: as the gate has it, and with the gate forced open at a step
at which it is shut, or silenced where it first opens. If a switch matters, what comes next is
the subgoal of the new code with it, and not without it. Control: forced open with the code
that is in force already, which changes nothing, to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from jaxtyping import Int
from plotly.subplots import make_subplots

from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.core.switch_codes import SwitchCodes
from irl_lens.analyses.figures.style import CONTRAST, GREY, MAIN, styled
from irl_lens.analyses.report.headline_results import LoadedRun
from irl_lens.analyses.rollouts.paired_effects import Effect, Rows, Steps, adjusted, compare
from irl_lens.analyses.rollouts.patched_actor import Edit, PatchedActor, Recording
from irl_lens.analyses.rollouts.taskless import Course, Field
from irl_lens.analyses.stats.estimates import Estimate
from irl_lens.arrays import NDArray
from irl_lens.models.causal import CausalHalf
from irl_lens.rl.trainer import draw_seed

Table = Int[NDArray[np.int64], "n steps"]


@dataclass(frozen=True)
class Place:
    """One what-if.

    Attributes:
        name: As in a figure.
        forced: Whether a switch was added, or one was taken away.
        effect: Of that on reaching the new code's subgoal next; p adjusted for all places.
        unchanged: The same with the code already in force (forced switches only).
    """

    name: str
    forced: bool
    effect: Effect
    unchanged: Effect | None = None


@dataclass(frozen=True)
class WhatIf(Result):
    """See the module.

    Attributes:
        places: What was tried.
    """

    places: tuple[Place, ...]

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a place, and one for each control."""
        rows = []
        for place in self.places:
            rows.append({"place": place.name, "code": "new"} | place.effect.columns())
            if place.unchanged is not None:
                rows.append({"place": place.name, "code": "same"} | place.unchanged.columns())
        return pd.DataFrame(rows)

    def figure(self) -> go.Figure:
        """Draws how often the new code's subgoal comes next, with and without the switch."""
        titles = ("new code's subgoal is reached next", "total variation of cells visited")
        figure = make_subplots(cols=2, subplot_titles=titles, column_widths=[0.6, 0.4])
        for name, colour, switched in (("no switch", GREY, False), ("switch", MAIN, True)):
            sides = [
                p.effect.patched if p.forced == switched else p.effect.clean for p in self.places
            ]
            figure.add_bar(
                **_bars(self.places, sides), name=name, marker_color=colour, row=1, col=1
            )
        shifts = [place.effect.shift for place in self.places]
        added = {"name": "switch against none", "marker_color": CONTRAST}
        figure.add_bar(**_bars(self.places, shifts), **added, row=1, col=2)
        figure.update_xaxes(tickangle=0)
        figure.update_yaxes(title="share of episodes", rangemode="tozero", col=1)
        figure.update_yaxes(title="total variation", rangemode="tozero", col=2)
        layout = {"legend": {"y": 1.12}, "margin": {"t": 120}}
        return styled(figure, "What if the gate had switched here?", 430, **layout)

    def caption(self) -> str:
        """Says what switches do."""
        said = " ".join(_sentence(place) for place in self.places)
        controls = [p.unchanged.changed.value for p in self.places if p.unchanged is not None]
        known = [share for share in controls if not np.isnan(share)]
        if known:
            said += f" Forced with the code in force, {max(known):.3f} of paths change."
        return (
            f"{said} Same boards and noise; p is adjusted for all {len(self.places)} "
            "(Holm), intervals are 95 % over episodes."
        )

    def claims(self) -> tuple[Claim, ...]:
        """Each edit of the gate against none."""
        return tuple(Claim(_sentence(p), p.effect.effect.value, p.effect.p) for p in self.places)


def what_if(
    bench: LoadedRun, steps: Sequence[int] = (2, 4, 6, 8), rows: int = 512, seed: int = 0
) -> WhatIf:
    """Forces and silences the gate of the run's metacontroller.

    Args:
        bench: The run.
        steps: Where to force it, from 0.
        rows: Boards.
        seed: Of the codes that are drawn.
    """
    drawn = draw_seed(bench.run.seed, "analysis-what-if", 0)
    field = Field(bench.base, bench.world, rows, drawn, bench.trial.temperature)
    harvest = SwitchCodes.of(bench.trace, bench.test.trajectories)
    return edit_gate(field, bench.run.metacontroller, harvest, steps, seed)


def edit_gate(
    field: Field, meta: CausalHalf, harvest: SwitchCodes, steps: Sequence[int], seed: int = 0
) -> WhatIf:
    """Forces and silences a gate; see :func:`what_if`.

    Args:
        field: Where to roam.
        meta: The metacontroller.
        harvest: The codes that agents take up.
        steps: Where to force the gate.
        seed: Of the codes that are drawn.

    Raises:
        UserError: A step is the first, at which the gate is always open, or beyond the last.
    """
    for step in steps:
        field.check(step, first=1)
    size = field.rows, field.world.horizon
    drawn = np.random.default_rng(seed).integers(len(harvest), size=size)
    trial = _Trial.of(field, meta, harvest, drawn)
    places = [*(trial.force(step) for step in steps), trial.silence()]
    effects = adjusted([place.effect for place in places])
    pairs = zip(places, effects, strict=True)
    return WhatIf(tuple(replace(place, effect=effect) for place, effect in pairs))


@dataclass(frozen=True)
class _Trial:
    """Clean runs, and what is needed to run them again with another gate."""

    field: Field
    meta: CausalHalf
    harvest: SwitchCodes
    drawn: Table
    clean: Course
    recording: Recording

    @classmethod
    def of(cls, field: Field, meta: CausalHalf, harvest: SwitchCodes, drawn: Table) -> _Trial:
        actor = PatchedActor(meta, harvest.take(drawn))
        clean = field.roam(actor, subgoals=2)
        return cls(field, meta, harvest, drawn, clean, actor.recording())

    def force(self, step: int) -> Place:
        """Opens the gate at a step where it is shut."""
        at = np.full(self.field.rows, step)
        old, new = self._labels(at)
        shut = ~self.recording.gate.numpy()[:, step]
        rows = shut & (self.clean.lengths > step) & (old != new)
        effect = self._compare(at, True, self.drawn, new, rows)
        same = self.drawn.copy()
        same[:, step] = in_force(self.drawn, self.recording.gate.numpy(), at)
        unchanged = self._compare(at, True, same, new, rows)
        return Place(f"force at step {step}", True, effect, unchanged)

    def silence(self) -> Place:
        """Shuts the gate where it first opens after the first step."""
        opens = self.recording.gate.numpy().copy()
        opens[:, 0] = False
        at = np.where(opens.any(axis=1), opens.argmax(axis=1), -1)
        old, new = self._labels(np.maximum(at, 0))
        rows = (at > 0) & (self.clean.lengths > at) & (old != new)
        return Place("silence first switch", False, self._compare(at, False, self.drawn, new, rows))

    def _labels(self, at: Steps) -> tuple[Steps, Steps]:
        """Subgoals of the codes in force before a step, and of those drawn at it."""
        labels, rows = self.harvest.labels, np.arange(len(at))
        before = in_force(self.drawn, self.recording.gate.numpy(), at)
        return labels[before], labels[self.drawn[rows, at]]

    def _compare(self, at: Steps, opened: bool, drawn: Table, wanted: Steps, rows: Rows) -> Effect:
        where = torch.from_numpy(np.arange(drawn.shape[1]) == at[:, None])
        edit = Edit("gate", where, torch.full((len(at),), opened))
        patched = self.field.roam(PatchedActor(self.meta, self.harvest.take(drawn), edit), 2)
        return compare(self.clean, patched, at, wanted, rows)


def in_force(drawn: Table, gate: np.ndarray, at: Steps) -> Steps:
    """What was drawn where the gate last opened before a step; at step 0, what is drawn there.

    Args:
        drawn: Numbers, ``[n, steps]``.
        gate: Where it opened.
        at: The step of each row.
    """
    steps = np.arange(drawn.shape[1])
    before = gate & (steps < at[:, None])
    last = np.where(before, steps, 0).max(axis=1)
    return drawn[np.arange(len(drawn)), last]


def _bars(places: Sequence[Place], estimates: Sequence[Estimate]) -> dict:
    return {
        "x": [place.name.replace(" ", "<br>", 1) for place in places],
        "y": [e.value for e in estimates],
        "error_y": {
            "array": [e.high - e.value for e in estimates],
            "arrayminus": [e.value - e.low for e in estimates],
        },
    }


def _sentence(place: Place) -> str:
    found = place.effect
    if found.episodes < 2:
        return f"{place.name.capitalize()}: too few episodes ({found.episodes})."
    verdict = "" if found.p < 0.05 else ", which may be chance"
    return (
        f"{place.name.capitalize()}: the new code's subgoal comes next in "
        f"{found.clean.value:.3f} of {found.episodes} episodes as it was and in "
        f"{found.patched.value:.3f} then (difference {found.effect}, p = {found.p:.3g}{verdict})."
    )
