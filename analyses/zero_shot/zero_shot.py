"""Zero-shot transfer: one thing is other than in training, and nothing is trained for it.

Each variation that the world offers (:class:`irl_lens.envs.contracts.Varied`) is one condition, and
the first condition is the world as it is: :mod:`irl_lens.analyses.zero_shot.condition` says what is
measured in each. The paper asks for one task that no demonstration shows (arXiv 2512.20605,
Fig. 8); what else the parts of a run carry over to, it leaves open.

A policy is not told what is asked for: it was trained on one task, and does that one. Where another
is asked for, what it reaches is what both begin with.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import pandas as pd
import plotly.graph_objects as go

from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.options import Count
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.stats.estimates import Estimate
from irl_lens.analyses.zero_shot.condition import PLAYERS, Condition, Measurement
from irl_lens.analyses.zero_shot.figure import conditions_figure
from irl_lens.envs.contracts import Varied, ask

AS_TRAINED = "as trained"


@dataclass(frozen=True)
class ZeroShot(Result):
    """One condition a world.

    Attributes:
        conditions: The run's own world first.
        episodes: Demonstrations of each.
        boards: Episodes of each player in each, boards that cannot be solved among them.
    """

    conditions: tuple[Condition, ...]
    episodes: int
    boards: int

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a condition and measure, each beside its null."""
        rows = []
        for condition in self.conditions:
            for measure, (found, null) in _measures(condition).items():
                values = found.columns("value") | null.columns("null")
                rows.append({"condition": condition.name, "measure": measure} | values)
        return pd.DataFrame(rows)

    def caption(self) -> str:
        """Says what is left of each measure in each condition."""
        said = [_sentence(condition) for condition in self.conditions]
        asked = {condition.task for condition in self.conditions}
        policy = (
            " The policy is not told what is asked for: on another task than its own it reaches "
            "what both begin with."
        )
        told = len(asked) > 1 and "mean" in self.conditions[0].outcomes
        return "Nothing is trained further. " + " ".join(said) + policy * told

    def claims(self) -> tuple[Claim, ...]:
        """F1 of the gate against its null, condition by condition."""
        found = [x for x in self.conditions if isfinite(x.f1.value)]
        return tuple(
            Claim.against(
                f"The gate finds boundaries, {x.name}, with F1 {x.f1}; its switches shifted round "
                f"have {x.f1_null.value:.3f}.",
                x.f1,
                x.f1_null,
                1 - x.f1_null.value,
            )
            for x in found
        )

    def figure(self) -> go.Figure:
        """Draws demonstrations and success side by side, a line a condition."""
        return conditions_figure(self.conditions)


def zero_shot(
    loaded: LoadedRun,
    variations: tuple[str, ...] | None = None,
    episodes: Count | None = None,
    boards: Count | None = None,
) -> ZeroShot:
    """Measures a run where one thing is other than it was trained on.

    Args:
        loaded: The run's parts.
        variations: What is other, one condition each; the world's own choice if none are given.
        episodes: Demonstrations of each; the run's own number if not given.
        boards: Episodes of each player; likewise.

    Raises:
        UserError: There is no such variation, or the base could not read it; nothing is run then.
    """
    world = ask(loaded.world, Varied, "zero-shot")
    worlds = {name: world.varied(name) for name in variations or world.variations}
    measurement = Measurement(loaded, episodes, boards)
    conditions = [measurement.of(loaded.world, AS_TRAINED)]
    conditions += [measurement.of(other, name) for name, other in worlds.items()]
    return ZeroShot(tuple(conditions), measurement.episodes, measurement.boards)


def _measures(condition: Condition) -> dict[str, tuple[Estimate, Estimate]]:
    """Every measure of a condition, and its null."""
    share, base = condition.commonest, condition.outcomes["base"]
    found = {
        "gate F1": (condition.f1, condition.f1_null),
        "code identity": (condition.identity, Estimate(share, share, share)),
    }
    for player, outcome in condition.outcomes.items():
        name = PLAYERS[player]
        found[f"success, {name}"] = outcome.success_solvable, base.success_solvable
        found[f"subgoals, {name}"] = outcome.subgoals, base.subgoals
    return found


def _sentence(condition: Condition) -> str:
    played = ", ".join(
        f"{_value(outcome.success_solvable)} by {PLAYERS[player]}"
        for player, outcome in condition.outcomes.items()
    )
    return (
        f"[{condition.name}] F1 of the gate {_value(condition.f1)}, identity of codes "
        f"{_value(condition.identity)}; success {played}."
    )


def _value(estimate: Estimate) -> str:
    return f"{estimate.value:.3f}" if isfinite(estimate.value) else "not to be had"
