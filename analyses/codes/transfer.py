"""Latent transfer: codes of one episode, put into others, on other boards.

Codes are taken where the gate opens in demonstrations, each with the subgoal that was
pursued, or in what the base did by itself (:mod:`irl_lens.analyses.codes.harvest`). One of
subgoal g is held, on another board, from the first step or from a later one, and what counts is
how often g is the next subgoal reached: against codes drawn from all of them, and against the
base alone. Then transitions g to h that no training task has: the base alone until it reaches
some g, from there on a code of h. (arXiv 2512.20605, App. B.3.2, Fig. A4.) All meet the same
boards and the same noise, without a gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import nan
from typing import Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from jaxtyping import Bool, Int
from plotly.subplots import make_subplots

from irl_lens.analyses.codes.harvest import harvest as harvested
from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.options import Count, Index, Seed
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.core.switch_codes import SwitchCodes
from irl_lens.analyses.figures.intervals import ABOVE_PANELS, one_legend, with_intervals
from irl_lens.analyses.figures.style import CONTRAST, GREY, MAIN, styled
from irl_lens.analyses.rollouts.paired_effects import next_reached
from irl_lens.analyses.rollouts.patched_actor import HeldCode
from irl_lens.analyses.rollouts.taskless import Field
from irl_lens.analyses.stats.estimates import Estimate, proportion
from irl_lens.analyses.stats.significance import bootstrap_ci, holm, permutation_pvalue
from irl_lens.arrays import NDArray
from irl_lens.models.causal import CausalHalf
from irl_lens.rl.trainer import draw_seed

Steps = Int[NDArray[np.int64], " n"]
Harvest = Literal["demonstrations", "rollouts"]
"""What codes are taken from: the expert's episodes, or those of the base alone."""
Hits = Bool[NDArray[np.bool_], " n"]


@dataclass(frozen=True)
class Rate:
    """How often a subgoal is the next one reached.

    Attributes:
        where: From when on codes are held, as in a figure.
        subgoal: Name of the subgoal, or of the transition.
        episodes: Pairs of episodes.
        own: With a code of the subgoal.
        pooled: With a code drawn from all.
        alone: Without any.
        effect: own - pooled.
        raised: own - alone.
        p: p-value of the effect, by exchanging within pairs; adjusted for all subgoals, transitions
            and times, totals for the others alone.
    """

    where: str
    subgoal: str
    episodes: int
    own: Estimate
    pooled: Estimate
    alone: Estimate
    effect: Estimate
    raised: Estimate
    p: float


@dataclass(frozen=True)
class Transfer(Result):
    """See the module.

    Attributes:
        rates: One a subgoal or transition, in the order they are drawn.
        totals: All that are held from the same time on, taken together.
        codes: How many codes there were of each subgoal, by name.
        harvest: What they were taken from.
    """

    rates: tuple[Rate, ...]
    totals: tuple[Rate, ...]
    codes: dict[str, int]
    harvest: Harvest = "demonstrations"

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a rate, totals last."""
        names = ("own", "pooled", "alone", "effect", "raised")
        rows = []
        for rate in (*self.rates, *self.totals):
            row = {"where": rate.where, "subgoal": rate.subgoal, "episodes": rate.episodes}
            for name in names:
                row |= getattr(rate, name).columns(name)
            rows.append(row | {"p": rate.p})
        return pd.DataFrame(rows)

    def figure(self) -> go.Figure:
        """Draws the rates, one panel for each time from which codes are held."""
        starts = list(dict.fromkeys(rate.where for rate in self.totals))
        figure = make_subplots(cols=len(starts), subplot_titles=starts, shared_yaxes=True)
        kinds = {
            "code of the subgoal": ("own", MAIN),
            "any code": ("pooled", CONTRAST),
            "base alone": ("alone", GREY),
        }
        for column, start in enumerate(starts, start=1):
            rates = [rate for rate in (*self.rates, *self.totals) if rate.where == start]
            for name, (field, colour) in kinds.items():
                found = [getattr(rate, field) for rate in rates]
                figure.add_bar(
                    x=[rate.subgoal for rate in rates],
                    **with_intervals(found),
                    **one_legend(name, column == 1),
                    marker_color=colour,
                    row=1,
                    col=column,
                )
        figure.update_xaxes(type="category", title="subgoal")
        figure.update_xaxes(title="transition", col=len(starts))
        figure.update_yaxes(title="share that reaches it next", rangemode="tozero", col=1)
        return styled(figure, "Codes put into other episodes", 430, **ABOVE_PANELS)

    def caption(self) -> str:
        """Says where codes carry their subgoal with them."""
        said = " ".join(_sentence(total) for total in self.totals)
        if self.harvest == "rollouts":
            said = f"{said} {self._harvested}"
        return (
            f"{said} Same boards and noise; p is adjusted for these {len(self.totals)} (Holm), "
            "intervals are 95 % over episodes."
        )

    @property
    def _harvested(self) -> str:
        counts = ", ".join(f"{n} of {name}" for name, n in self.codes.items())
        by = "; ".join(f"{total.where} {total.raised}" for total in self.totals)
        return f"Codes are of what the base did by itself: {counts}. Own less alone: {by}."

    def claims(self) -> tuple[Claim, ...]:
        """A code of the subgoal against any code, for each time from which codes are held."""
        return tuple(Claim(_sentence(t), t.effect.value, t.p) for t in self.totals)


def transfer(
    loaded: LoadedRun,
    rows: Count = 512,
    later: Index = 4,
    seed: Seed = 0,
    harvest: Harvest = "demonstrations",
) -> Transfer:
    """Puts codes of the run's metacontroller into fresh episodes.

    Args:
        loaded: The run.
        rows: Boards.
        later: The later step; the paper's, of an ant, is 30.
        seed: Seed of the codes that are drawn.
        harvest: What codes are taken from, ``demonstrations`` or ``rollouts`` of the base alone,
            as the paper's are.
    """
    drawn = draw_seed(loaded.run.seed, "analysis-transfer", 0)
    field = Field(loaded.base, loaded.world, rows, drawn, loaded.trial.temperature)
    meta = loaded.run.metacontroller
    field.check(later, first=1)
    if harvest == "rollouts":
        elsewhere = draw_seed(loaded.run.seed, "analysis-harvest", 0)
        switch_codes = harvested(replace(field, seed=elsewhere), meta)
    else:
        switch_codes = SwitchCodes.of(loaded.trace, loaded.test.trajectories)
    return replace(inject(field, meta, switch_codes, later, seed), harvest=harvest)


def inject(
    field: Field, meta: CausalHalf, switch_codes: SwitchCodes, later: int = 4, seed: int = 0
) -> Transfer:
    """Puts codes into episodes; see :func:`transfer`.

    Args:
        field: Where to roam.
        meta: The metacontroller whose decoder is used.
        switch_codes: The codes.
        later: The later step.
        seed: Seed of the codes that are drawn.

    Raises:
        UserError: The later step is the first, or beyond the last.
    """
    field.check(later, first=1)
    trial = _Trial(field, meta, switch_codes, np.random.default_rng(seed))
    found = [trial.held(step) for step in (0, later)]
    rates, hits = trial.forced(field.unseen)
    found.append((rates, trial.rate("unseen transitions", "all", *hits)))
    every, totals = [rate for rates, _ in found for rate in rates], [total for _, total in found]
    names = field.world.subgoal_names
    counts = np.bincount(switch_codes.labels, minlength=len(names)).tolist()
    return Transfer(_adjusted(every), _adjusted(totals), dict(zip(names, counts, strict=True)))


def _adjusted(rates: Sequence[Rate]) -> tuple[Rate, ...]:
    pairs = zip(rates, holm([rate.p for rate in rates]), strict=True)
    return tuple(replace(rate, p=p) for rate, p in pairs)


@dataclass(frozen=True)
class _Trial:
    field: Field
    meta: CausalHalf
    switch_codes: SwitchCodes
    rng: np.random.Generator

    def held(self, step: int) -> tuple[list[Rate], Rate]:
        """Holds codes of each subgoal from a step on; rates by subgoal, and of all."""
        n, names = self.field.rows, self.field.world.subgoal_names
        where = f"from step {step}" if step else "from the first step"
        since, alone = np.full(n, step), self.field.roam()
        running = alone.lengths > step
        pooled = self._next(self.switch_codes.draw(n, self.rng), since, 1)
        by_itself = next_reached(alone, since)[0]
        rates, all_hits = [], []
        for g, name in enumerate(names):
            if not (self.switch_codes.labels == g).any():
                continue
            own = self._next(self.switch_codes.draw(n, self.rng, g), since, 1)
            hits = [(found == g)[running] for found in (own, pooled, by_itself)]
            rates.append(self.rate(where, name, *hits))
            all_hits.append(hits)
        # Boards are the unit: each counts with its mean over subgoals.
        means = (np.mean([hits[i] for hits in all_hits], axis=0) for i in range(3))
        return rates, self.rate(where, "all", *means)

    def forced(
        self, pairs: tuple[tuple[int, int], ...]
    ) -> tuple[list[Rate], tuple[NDArray, NDArray, NDArray]]:
        """Forces transitions from wherever the base went; rates by transition, and all hits."""
        alone, names = self.field.roam(subgoals=2), self.field.world.subgoal_names
        first, since = alone.reached[:, 0], alone.at[:, 0]
        wanted = np.full(len(first), -1)
        known = set(self.switch_codes.labels.tolist())
        for row, g in enumerate(first):
            choices = [h for a, h in pairs if a == g and h in known]
            wanted[row] = self.rng.choice(choices) if choices else -1
        rows = wanted >= 0
        index = self.switch_codes.draw(len(first), self.rng)
        pooled = self._next(index, np.where(rows, since, self.field.world.horizon), 2)
        for h in sorted(set(wanted[rows].tolist())):
            own = wanted == h
            index[own] = self.switch_codes.draw(int(own.sum()), self.rng, h)
        injected = self._next(index, np.where(rows, since, self.field.world.horizon), 2)
        hits = [x == wanted for x in (injected, pooled, next_reached(alone, since)[0])]
        rates = []
        for g, h in pairs:
            some = rows & (first == g) & (wanted == h)
            name = f"{names[g]}→{names[h]}"
            rates.append(self.rate("unseen transitions", name, *(x[some] for x in hits)))
        return rates, (hits[0][rows], hits[1][rows], hits[2][rows])

    def _next(self, index: Steps, since: Steps, subgoals: int) -> Steps:
        """The next subgoal reached with codes held from a step on."""
        actor = HeldCode(self.meta, self.switch_codes.take(index), torch.from_numpy(since))
        return next_reached(self.field.roam(actor, subgoals), since)[0]

    def rate(self, where: str, name: str, own: NDArray, pooled: NDArray, alone: NDArray) -> Rate:
        """Makes a rate of hits, or of shares of hits."""
        n = len(own)
        ratio = proportion if own.dtype == bool else bootstrap_ci
        p = permutation_pvalue(own, pooled) if n > 1 else nan
        shares = ratio(own), ratio(pooled), ratio(alone)
        effect, raised = (bootstrap_ci(own.astype(np.float64) - x) for x in (pooled, alone))
        return Rate(where, name, n, *shares, effect, raised, p)


def _sentence(total: Rate) -> str:
    if total.episodes < 2:
        return f"{total.where.capitalize()}: too few episodes ({total.episodes})."
    verdict = "" if total.p < 0.05 else ", which may be chance"
    return (
        f"{total.where.capitalize()}, a code of the subgoal leads to it in "
        f"{total.own.value:.3f} of cases, any code in {total.pooled.value:.3f}, the base alone in "
        f"{total.alone.value:.3f} (own against any {total.effect}, p = {total.p:.3g}{verdict})."
    )
