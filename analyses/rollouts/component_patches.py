"""What patching a part of the acting metacontroller at one step does to where the agent goes.

Agents roam on the same boards with the same noise, with and without a patch of the gate, of z,
of U or of the residual at step t (:mod:`irl_lens.analyses.rollouts.patched_actor`). Each agent is
given a wanted subgoal, not that of its code in force. What is put in:

    self      what was there: changes nothing, to the bit
    random    from another agent at that step, or a code drawn from all
    targeted  from another agent with a code of the wanted subgoal, or such a code

A patched gate is open and the code then taken up is of the wanted subgoal (targeted), or it is
that of another agent (random). z is held until the gate next opens, all else is for one step.
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
from torch import Tensor

from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.core.switch_codes import SwitchCodes
from irl_lens.analyses.figures.style import CONTRAST, GREY, MAIN, styled
from irl_lens.analyses.gate.counterfactual import in_force
from irl_lens.analyses.report.headline_results import LoadedRun
from irl_lens.analyses.rollouts.paired_effects import Effect, Rows, Steps, adjusted, compare
from irl_lens.analyses.rollouts.patched_actor import PARTS, Edit, Part, PatchedActor, Recording
from irl_lens.analyses.rollouts.taskless import Course, Field
from irl_lens.arrays import NDArray
from irl_lens.models.causal import CausalHalf
from irl_lens.rl.trainer import draw_seed

KINDS = {"self": GREY, "random": CONTRAST, "targeted": MAIN}


@dataclass(frozen=True)
class PartEffect:
    """One part patched at one step.

    Attributes:
        part: Which.
        step: When, from 0.
        effects: Of what is put in, by its name, against no patch.
        against_random: Of the targeted patch, against the random one. These p-values, as those
            of each kind of patch, are adjusted for all parts and steps.
    """

    part: str
    step: int
    effects: dict[str, Effect]
    against_random: Effect


@dataclass(frozen=True)
class Behaviour(Result):
    """See the module.

    Attributes:
        parts: What was patched.
    """

    parts: tuple[PartEffect, ...]

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a patch, and one for targeted against random."""
        rows = []
        for found in self.parts:
            named = found.effects | {"targeted against random": found.against_random}
            for patch, effect in named.items():
                at = {"part": found.part, "step": found.step, "patch": patch}
                rows.append(at | effect.columns())
        return pd.DataFrame(rows)

    def figure(self) -> go.Figure:
        """Draws what each patch does to the subgoal reached, the cells visited, and the time."""
        titles = (
            "reaches the wanted subgoal first",
            "total variation of cells",
            "steps to the same subgoal",
        )
        figure = make_subplots(cols=3, subplot_titles=titles)
        x = [
            [f"step {p.step}" for p in self.parts],
            [p.part.replace("residual", "e") for p in self.parts],
        ]
        for column, field in enumerate(("effect", "shift", "sooner"), start=1):
            for kind, colour in KINDS.items():
                found = [getattr(part.effects[kind], field) for part in self.parts]
                figure.add_bar(
                    x=x,
                    y=[e.value for e in found],
                    error_y={
                        "array": [e.high - e.value for e in found],
                        "arrayminus": [e.value - e.low for e in found],
                        "thickness": 1,
                        "width": 2,
                    },
                    name=f"patched with {kind}",
                    legendgroup=kind,
                    showlegend=column == 1,
                    marker_color=colour,
                    row=1,
                    col=column,
                )
        for column, title in enumerate(("share, patched - clean", "", "patched - clean"), start=1):
            figure.update_yaxes(title=title, col=column)
        layout = {"legend": {"y": 1.12}, "margin": {"t": 120}}
        return styled(figure, "Where the agent goes after a patch", 470, **layout)

    def caption(self) -> str:
        """Says which parts decide where the agent goes."""
        changed = max(np.nan_to_num(part.effects["self"].changed.value) for part in self.parts)
        said = " ".join(_sentence(part) for part in self.parts)
        return (
            "How a targeted patch changes how often the wanted subgoal is reached first: "
            f"{said} Patched with itself, {changed:.3f} of paths change. p is of targeted against "
            f"random patches, adjusted for all {len(self.parts)} (Holm); intervals are 95 % over "
            "episodes."
        )

    def claims(self) -> tuple[Claim, ...]:
        """Each part's targeted patch against a random one."""
        pairs = ((found, found.against_random) for found in self.parts)
        return tuple(Claim(_sentence(found), x.effect.value, x.p) for found, x in pairs)


def behaviour(
    bench: LoadedRun, steps: Sequence[int] = (2, 5), rows: int = 512, seed: int = 0
) -> Behaviour:
    """Patches the run's metacontroller while it acts on codes of the demonstrations.

    Args:
        bench: The run.
        steps: Where to patch, from 0.
        rows: Boards.
        seed: Of the codes and agents that are drawn.
    """
    drawn = draw_seed(bench.run.seed, "analysis-behaviour", 0)
    field = Field(bench.base, bench.world, rows, drawn, bench.trial.temperature)
    harvest = SwitchCodes.of(bench.trace, bench.test.trajectories)
    return patch_parts(field, bench.run.metacontroller, harvest, steps, seed)


def patch_parts(
    field: Field,
    meta: CausalHalf,
    harvest: SwitchCodes,
    steps: Sequence[int],
    seed: int = 0,
) -> Behaviour:
    """Patches every part at every step; see :func:`behaviour`.

    Args:
        field: Where to roam.
        meta: The metacontroller.
        harvest: The codes that agents take up.
        steps: Where to patch.
        seed: Of the codes and agents that are drawn.

    Raises:
        UserError: A step is beyond the last.
    """
    for step in steps:
        field.check(step)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(harvest), size=(field.rows, field.world.horizon))
    actor = PatchedActor(meta, harvest.take(drawn))
    clean = field.roam(actor)
    found = []
    for step in steps:
        trial = _Trial.of(field, meta, harvest, drawn, clean, actor.recording(), step, rng)
        found += [trial.effects(part) for part in PARTS]
    return Behaviour(_adjusted(found))


def _adjusted(found: Sequence[PartEffect]) -> tuple[PartEffect, ...]:
    """Adjusts the p-values of each kind of patch, and of targeted against random ones."""
    kinds = [adjusted([part.effects[kind] for part in found]) for kind in KINDS]
    against = adjusted([part.against_random for part in found])
    return tuple(
        replace(part, effects=dict(zip(KINDS, effects, strict=True)), against_random=random)
        for part, effects, random in zip(found, zip(*kinds, strict=True), against, strict=True)
    )


@dataclass(frozen=True)
class _Trial:
    """All that is put in at one step.

    Attributes:
        drawn: Numbers of the codes that agents take up where their gate opens.
        wanted: The wanted subgoal of each agent.
        donors: Another agent with a code of it, itself if there is none.
        others: Another agent.
        codes: Numbers of a code of the wanted subgoal and of one of all, for each agent.
        rows: Agents to count: not yet there, and with such a donor.
    """

    field: Field
    meta: CausalHalf
    harvest: SwitchCodes
    drawn: Int[NDArray[np.int64], "n steps"]
    clean: Course
    recording: Recording
    step: int
    wanted: Steps
    donors: Steps
    others: Steps
    codes: dict[str, Steps]
    rows: Rows

    @classmethod
    def of(
        cls,
        field: Field,
        meta: CausalHalf,
        harvest: SwitchCodes,
        drawn: Int[NDArray[np.int64], "n steps"],
        clean: Course,
        recording: Recording,
        step: int,
        rng: np.random.Generator,
    ) -> _Trial:
        """Draws what is put in."""
        gate = recording.gate.numpy()
        force = harvest.labels[in_force(drawn, gate, np.full(len(drawn), step + 1))]
        running, known = clean.lengths > step, np.unique(harvest.labels)
        wanted = np.array([rng.choice(known[known != g]) if len(known) > 1 else g for g in force])
        donors = np.array([_one_of(running & (force == h), i, rng) for i, h in enumerate(wanted)])
        others = np.array([_one_of(running, i, rng) for i in range(len(wanted))])
        codes = {"random": harvest.draw(len(wanted), rng), "targeted": np.zeros_like(wanted)}
        for h in known:
            own = wanted == h
            codes["targeted"][own] = harvest.draw(int(own.sum()), rng, int(h))
        rows = running & (wanted != force) & (donors != np.arange(len(donors)))
        found = wanted, donors, others, codes, rows
        return cls(field, meta, harvest, drawn, clean, recording, step, *found)

    def effects(self, part: Part) -> PartEffect:
        """Patches one part with everything."""
        courses = {kind: self._play(part, kind) for kind in KINDS}
        at = np.full(len(self.drawn), self.step)
        found = {
            kind: compare(self.clean, course, at, self.wanted, self.rows)
            for kind, course in courses.items()
        }
        pair = courses["random"], courses["targeted"]
        return PartEffect(part, self.step, found, compare(*pair, at, self.wanted, self.rows))

    def _play(self, part: Part, kind: str) -> Course:
        drawn = self.drawn
        if part == "gate" and kind == "targeted":
            drawn = drawn.copy()
            drawn[:, self.step] = self.codes["targeted"]
        where = torch.zeros(drawn.shape, dtype=torch.bool)
        where[:, self.step] = True
        edit = Edit(part, where, self._value(part, kind))
        return self.field.roam(PatchedActor(self.meta, self.harvest.take(drawn), edit))

    def _value(self, part: Part, kind: str) -> Tensor:
        if part in ("z", "U"):
            own = self.recording.z[:, self.step]
            return own if kind == "self" else self.harvest.take(self.codes[kind])
        if part == "gate":
            gate = self.recording.gate[:, self.step]
            values = {"self": gate, "random": gate[self.others], "targeted": gate | True}
            return values[kind]
        residual = self.recording.residual[:, self.step]
        values = {"self": slice(None), "random": self.others, "targeted": self.donors}
        return residual[values[kind]]


def _one_of(marks: Rows, row: int, rng: np.random.Generator) -> int:
    """Draws one of the marked rows other than ``row``, which it is if there is no other."""
    found = np.flatnonzero(marks)
    found = found[found != row]
    return int(rng.choice(found)) if len(found) else row


def _sentence(found: PartEffect) -> str:
    effect, against = found.effects["targeted"], found.against_random
    if against.episodes < 2:
        return f"{found.part} at step {found.step}: too few episodes ({against.episodes})."
    verdict = "" if against.p < 0.05 else ", which may be chance"
    return (
        f"{found.part} at step {found.step}: {effect.effect}, against "
        f"{found.effects['random'].effect.value:.3f} with a random other (p = "
        f"{against.p:.3g}{verdict}); total variation of cells {effect.shift.value:.3f}."
    )
