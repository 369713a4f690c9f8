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
from plotly.subplots import make_subplots

from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.options import Count, Index, Seed
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.core.switch_codes import SwitchCodes
from irl_lens.analyses.figures.intervals import ABOVE_PANELS, with_intervals
from irl_lens.analyses.figures.style import CONTRAST, GREY, MAIN, styled
from irl_lens.analyses.rollouts.paired_effects import Effect, Rows, Steps, adjusted, compare
from irl_lens.analyses.rollouts.patched_actor import Edit, PatchedActor, Recording, Table, in_force
from irl_lens.analyses.rollouts.taskless import Course, Field
from irl_lens.analyses.stats.estimates import Estimate
from irl_lens.models.causal import CausalHalf
from irl_lens.rl.trainer import draw_seed


@dataclass(frozen=True)
class GateChange:
    """One change of the gate, and what comes of it.

    Attributes:
        name: As in a figure.
        forced: Whether a switch was added, or one was taken away.
        effect: Effect of that on reaching the new code's subgoal next; p adjusted for all changes.
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
        changes: What was tried.
    """

    changes: tuple[GateChange, ...]

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a change, and one for each control."""
        rows = []
        for change in self.changes:
            rows.append({"change": change.name, "code": "new"} | change.effect.columns())
            if change.unchanged is not None:
                rows.append({"change": change.name, "code": "same"} | change.unchanged.columns())
        return pd.DataFrame(rows)

    def figure(self) -> go.Figure:
        """Draws how often the new code's subgoal comes next, with and without the switch."""
        titles = ("new code's subgoal is reached next", "total variation of cells visited")
        figure = make_subplots(cols=2, subplot_titles=titles, column_widths=[0.6, 0.4])
        for name, colour, switched in (("no switch", GREY, False), ("switch", MAIN, True)):
            sides = [
                p.effect.patched if p.forced == switched else p.effect.clean for p in self.changes
            ]
            figure.add_bar(
                **_bars(self.changes, sides), name=name, marker_color=colour, row=1, col=1
            )
        shifts = [change.effect.shift for change in self.changes]
        added = {"name": "switch against none", "marker_color": CONTRAST}
        figure.add_bar(**_bars(self.changes, shifts), **added, row=1, col=2)
        figure.update_xaxes(tickangle=0)
        figure.update_yaxes(title="share of episodes", rangemode="tozero", col=1)
        figure.update_yaxes(title="total variation", rangemode="tozero", col=2)
        return styled(figure, "What if the gate had switched here?", 430, **ABOVE_PANELS)

    def caption(self) -> str:
        """Says what switches do."""
        said = " ".join(_sentence(change) for change in self.changes)
        controls = [p.unchanged.changed.value for p in self.changes if p.unchanged is not None]
        known = [share for share in controls if not np.isnan(share)]
        if known:
            said += f" Forced with the code in force, {max(known):.3f} of paths change."
        return (
            f"{said} Same boards and noise; p is adjusted for all {len(self.changes)} "
            "(Holm), intervals are 95 % over episodes."
        )

    def claims(self) -> tuple[Claim, ...]:
        """Each edit of the gate against none."""
        return tuple(Claim(_sentence(p), p.effect.effect.value, p.effect.p) for p in self.changes)


def what_if(
    loaded: LoadedRun, steps: tuple[Index, ...] = (2, 4, 6, 8), rows: Count = 512, seed: Seed = 0
) -> WhatIf:
    """Forces and silences the gate of the run's metacontroller.

    Args:
        loaded: The run.
        steps: Where to force it, from 0.
        rows: Boards.
        seed: Seed of the codes that are drawn.
    """
    drawn = draw_seed(loaded.run.seed, "analysis-what-if", 0)
    field = Field(loaded.base, loaded.world, rows, drawn, loaded.trial.temperature)
    switch_codes = SwitchCodes.of(loaded.trace, loaded.test.trajectories)
    return edit_gate(field, loaded.run.metacontroller, switch_codes, steps, seed)


def edit_gate(
    field: Field, meta: CausalHalf, switch_codes: SwitchCodes, steps: Sequence[int], seed: int = 0
) -> WhatIf:
    """Forces and silences a gate; see :func:`what_if`.

    Args:
        field: Where to roam.
        meta: The metacontroller.
        switch_codes: The codes that agents take up.
        steps: Where to force the gate.
        seed: Seed of the codes that are drawn.

    Raises:
        UserError: A step is the first, at which the gate is always open, or beyond the last.
    """
    for step in steps:
        field.check(step, first=1)
    size = field.rows, field.world.horizon
    drawn = np.random.default_rng(seed).integers(len(switch_codes), size=size)
    trial = _Trial.of(field, meta, switch_codes, drawn)
    changes = [*(trial.force(step) for step in steps), trial.silence()]
    effects = adjusted([change.effect for change in changes])
    pairs = zip(changes, effects, strict=True)
    return WhatIf(tuple(replace(change, effect=effect) for change, effect in pairs))


@dataclass(frozen=True)
class _Trial:
    """Clean runs, and what is needed to run them again with another gate."""

    field: Field
    meta: CausalHalf
    switch_codes: SwitchCodes
    drawn: Table
    clean: Course
    recording: Recording

    @classmethod
    def of(cls, field: Field, meta: CausalHalf, switch_codes: SwitchCodes, drawn: Table) -> _Trial:
        actor = PatchedActor(meta, switch_codes.take(drawn))
        clean = field.roam(actor, subgoals=2)
        return cls(field, meta, switch_codes, drawn, clean, actor.recording())

    def force(self, step: int) -> GateChange:
        """Opens the gate at a step where it is shut."""
        at = np.full(self.field.rows, step)
        old, new = self._labels(at)
        shut = ~self.recording.gate.numpy()[:, step]
        rows = shut & (self.clean.lengths > step) & (old != new)
        effect = self._compare(at, True, self.drawn, new, rows)
        same = self.drawn.copy()
        same[:, step] = in_force(self.drawn, self.recording.gate.numpy(), at)
        unchanged = self._compare(at, True, same, new, rows)
        return GateChange(f"force at step {step}", True, effect, unchanged)

    def silence(self) -> GateChange:
        """Shuts the gate where it first opens after the first step."""
        opens = self.recording.gate.numpy().copy()
        opens[:, 0] = False
        at = np.where(opens.any(axis=1), opens.argmax(axis=1), -1)
        old, new = self._labels(np.maximum(at, 0))
        rows = (at > 0) & (self.clean.lengths > at) & (old != new)
        return GateChange(
            "silence first switch", False, self._compare(at, False, self.drawn, new, rows)
        )

    def _labels(self, at: Steps) -> tuple[Steps, Steps]:
        """Subgoals of the codes in force before a step, and of those drawn at it."""
        labels, rows = self.switch_codes.labels, np.arange(len(at))
        before = in_force(self.drawn, self.recording.gate.numpy(), at)
        return labels[before], labels[self.drawn[rows, at]]

    def _compare(self, at: Steps, opened: bool, drawn: Table, wanted: Steps, rows: Rows) -> Effect:
        where = torch.from_numpy(np.arange(drawn.shape[1]) == at[:, None])
        edit = Edit("gate", where, torch.full((len(at),), opened))
        patched = self.field.roam(PatchedActor(self.meta, self.switch_codes.take(drawn), edit), 2)
        return compare(self.clean, patched, at, wanted, rows)


def _bars(changes: Sequence[GateChange], estimates: Sequence[Estimate]) -> dict:
    names = [change.name.replace(" ", "<br>", 1) for change in changes]
    return {"x": names} | with_intervals(estimates)


def _sentence(change: GateChange) -> str:
    found = change.effect
    if found.episodes < 2:
        return f"{change.name.capitalize()}: too few episodes ({found.episodes})."
    verdict = "" if found.p < 0.05 else ", which may be chance"
    return (
        f"{change.name.capitalize()}: the new code's subgoal comes next in "
        f"{found.clean.value:.3f} of {found.episodes} episodes as it was and in "
        f"{found.patched.value:.3f} then (difference {found.effect}, p = {found.p:.3g}{verdict})."
    )
