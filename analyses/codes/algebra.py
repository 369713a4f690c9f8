"""Controllers of two subgoals, combined: do codes mix, add up, cancel, and does order matter?

Each subgoal g has the mean c_g of its codes at switches. Held from the first step on boards
that are the same for all, with the same noise:

    interpolation  U((1 - w) c_g + w c_h)
    sum            e + U(c_g) e + U(c_h) e
    negation       e - U(c_g) e
    order          (1 + U(c_h)) (1 + U(c_g)) e  against  (1 + U(c_g)) (1 + U(c_h)) e

The two orders differ by the commutator times e exactly, so its norm should foretell how far
apart they are: in the stream (on demonstrations), and in the cells visited. Norms are
compared with those of randomly rotated controllers (:mod:`irl_lens.analyses.codes.matrix_algebra`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch

from irl_lens.analyses.codes.algebra_figure import draw
from irl_lens.analyses.codes.combined_controllers import (
    WEIGHTS,
    Combiner,
    Pair,
    Single,
    mean_or_nan,
)
from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.options import Count, Seed
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.core.switch_codes import SwitchCodes, class_means
from irl_lens.analyses.rollouts.paired_effects import adjusted
from irl_lens.analyses.rollouts.taskless import Field
from irl_lens.analyses.stats.rank_correlation import Correlation, correlations
from irl_lens.envs.trajectories import Trajectories
from irl_lens.models.causal import CausalHalf
from irl_lens.rl.trainer import draw_seed


@dataclass(frozen=True)
class Algebra(Result):
    """See the module.

    Attributes:
        singles: One a subgoal that has codes.
        pairs: One for each two of them.
        stream: Commutator norm against the difference in the stream, over pairs.
        cells: Commutator norm against the total variation of cells visited.
    """

    singles: tuple[Single, ...]
    pairs: tuple[Pair, ...]
    stream: Correlation
    cells: Correlation

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a single controller, then one a pair."""
        rows: list[dict] = []
        for one in self.singles:
            row = {"what": one.name} | one.alone.columns("alone")
            row |= one.on.effect.columns("on") | {"on_p": one.on.p}
            rows.append(row | one.negated.effect.columns("negated") | {"negated_p": one.negated.p})
        for pair in self.pairs:
            row = {"what": "+".join(pair.names)}
            for weight, rates in zip(WEIGHTS, pair.mixed, strict=True):
                row |= {f"{n}_at_{weight}": r.value for n, r in zip("gh", rates, strict=True)}
            row |= {f"{n}_of_sum": r.value for n, r in zip("gh", pair.added, strict=True)}
            row |= {"commutator": pair.commutator, "commutator_null": pair.commutator_null}
            row |= {"g_then_h": pair.composition[0], "h_then_g": pair.composition[1]}
            row |= {"composition_null": pair.composition_null}
            row |= pair.stream.columns("stream") | pair.order.shift.columns("cells")
            rows.append(row | pair.order.effect.columns("order") | {"order_p": pair.order.p})
        return pd.DataFrame(rows)

    def figure(self) -> go.Figure:
        """Draws mixtures and sums, negations, and norms against what order does."""
        return draw(self.singles, self.pairs)

    def caption(self) -> str:
        """Says which algebra holds."""
        pairs, lost = self.pairs, [one.negated for one in self.singles]
        fell = sum(x.p < 0.05 and x.effect.value < 0 for x in lost)
        ends = mean_or_nan([r.value for p in pairs for r in (p.mixed[0][0], p.mixed[-1][1])])
        half = mean_or_nan([sum(r.value for r in p.mixed[len(WEIGHTS) // 2]) for p in pairs])
        added = mean_or_nan([sum(r.value for r in p.added) for p in pairs])
        norm = mean_or_nan([p.commutator for p in pairs])
        null = mean_or_nan([p.commutator_null for p in pairs])
        return (
            f"One controller leads to its subgoal first in {ends:.3f} of episodes. Half of "
            f"each of two leads to one of the two in {half:.3f}, their sum in {added:.3f}. "
            f"Negation makes {fell} of {len(lost)} subgoals rarer than with the base alone "
            f"(p < 0.05, adjusted for all of them by Holm). Commutators are {norm:.3f} of their "
            f"bound ({null:.3f} rotated), and their rank correlation over {len(pairs)} "
            f"pairs is {self.stream} with what order does to the stream, {self.cells} with what it "
            "does to the cells visited (adjusted for both). Same boards and noise; intervals are "
            "95 % over episodes."
        )

    def claims(self) -> tuple[Claim, ...]:
        """The mean code of each subgoal against the base alone, and what norms foretell."""
        singles = [
            Claim(
                f"The mean code of {one.name}, held, leads there first in "
                f"{one.on.patched.value:.3f} of episodes, the base alone in "
                f"{one.alone.value:.3f}.",
                one.on.effect.value,
                one.on.p,
            )
            for one in self.singles
        ]
        said = "Rank correlation of commutators' norms with what order does to the cells visited"
        return (*singles, Claim(f"{said}: {self.cells}.", self.cells.rho, self.cells.p))


def algebra(
    loaded: LoadedRun,
    rows: Count = 256,
    demonstrations: Count = 128,
    seed: Seed = 0,
    draws: Count = 5,
) -> Algebra:
    """Combines controllers of the run's metacontroller.

    Args:
        loaded: The run.
        rows: Boards.
        demonstrations: Whose stream the two orders are compared on.
        seed: Seed of the rotations.
        draws: Rotations.
    """
    drawn = draw_seed(loaded.run.seed, "analysis-algebra", 0)
    field = Field(loaded.base, loaded.world, rows, drawn, loaded.trial.temperature)
    shown = loaded.test.trajectories.rows(slice(demonstrations))
    switch_codes = SwitchCodes.of(loaded.trace, loaded.test.trajectories)
    return combine(field, loaded.run.metacontroller, switch_codes, shown, seed, draws)


def combine(
    field: Field,
    meta: CausalHalf,
    switch_codes: SwitchCodes,
    demonstrations: Trajectories,
    seed: int = 0,
    draws: int = 5,
) -> Algebra:
    """Combines controllers; see :func:`algebra`.

    Args:
        field: Where to roam.
        meta: The metacontroller whose decoder is used.
        switch_codes: The codes.
        demonstrations: Whose stream the two orders are compared on.
        seed: Seed of the rotations.
        draws: Rotations.
    """
    means = class_means(switch_codes.codes, switch_codes.labels, len(field.world.subgoal_names))
    found = [g for g in range(len(means)) if np.isfinite(means[g]).all()]
    codes = {g: torch.from_numpy(means[g]).float().to(meta.device) for g in found}
    combiner = Combiner(field, meta, codes, field.roam(), demonstrations)
    singles = [combiner.single(g) for g in found]
    pairs = [combiner.pair(g, h, seed, draws) for g, h in combinations(found, 2)]
    stream, cells = correlations(
        [pair.commutator for pair in pairs],
        [pair.stream.value for pair in pairs],
        [pair.order.shift.value for pair in pairs],
    )
    return Algebra(_singles(singles), _pairs(pairs), stream, cells)


def _singles(found: Sequence[Single]) -> tuple[Single, ...]:
    on, negated = (adjusted([getattr(one, x) for one in found]) for x in ("on", "negated"))
    effects = zip(found, on, negated, strict=True)
    return tuple(replace(one, on=a, negated=b) for one, a, b in effects)


def _pairs(found: Sequence[Pair]) -> tuple[Pair, ...]:
    orders = adjusted([pair.order for pair in found])
    return tuple(replace(pair, order=order) for pair, order in zip(found, orders, strict=True))
