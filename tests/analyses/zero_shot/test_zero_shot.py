"""In its own world a run is what other analyses say; elsewhere what is other is measured."""

from __future__ import annotations

import json
from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
import pytest

import irl_lens
from irl_lens.analyses.codes.identity import codes
from irl_lens.analyses.control.by_layer import controllability
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.trial import Outcome
from irl_lens.analyses.gate.boundary_f1 import gate
from irl_lens.analyses.learning.success import success
from irl_lens.analyses.stats.estimates import Estimate
from irl_lens.analyses.zero_shot.condition import PLAYERS, Condition
from irl_lens.analyses.zero_shot.zero_shot import ZeroShot, zero_shot
from irl_lens.errors import UserError
from irl_lens.runs.run import Run

RESULTS = Path(__file__).parents[3] / "results"


@pytest.fixture(scope="module")
def loaded(smoke_run: Run) -> LoadedRun:
    """A run to measure on a few episodes."""
    few = LoadedRun(smoke_run)
    few.sizes = replace(few.sizes, trajectories=24, rollouts=12)
    return few


@pytest.fixture(scope="module")
def found(loaded: LoadedRun) -> ZeroShot:
    return zero_shot(loaded, ("task=1-2", "moved"))


def test_the_first_condition_is_what_other_analyses_measure(
    loaded: LoadedRun, found: ZeroShot
) -> None:
    own = found.conditions[0]
    scores, identity = gate(loaded).scores, codes(loaded)
    assert (own.f1, own.f1_null) == (scores.f1, scores.f1_null)
    assert (own.identity, own.commonest) == (identity.identity, identity.chance)
    learned, control = success(loaded), controllability(loaded)
    assert own.outcomes == {
        "base": control.raw,
        "controllers": control.layers[0].outcome,
        "codes": identity.outcome,
        "mean": learned.internal_mean,
        "drawn": learned.internal,
    }
    assert list(own.outcomes) == list(PLAYERS)


def test_conditions_are_those_that_were_asked_for(found: ZeroShot) -> None:
    names = [x.name for x in found.conditions]
    assert names == ["as trained", "task=1-2", "moved"]
    assert [x.task for x in found.conditions] == [(0, 1, 2, 3), (1, 2), (0, 1, 2, 3)]
    assert (found.episodes, found.boards) == (24, 12)
    table = found.to_dataframe()
    assert list(table["condition"].unique()) == names
    assert len(table) == 3 * (2 + 2 * len(PLAYERS))
    base = table[table["measure"] == "success, base alone"]
    assert list(base["value"]) == list(base["null"])
    drawn = found.figure()
    assert list(drawn.layout.yaxis.ticktext) == names  # type: ignore[attr-defined]
    assert len(drawn.data) == 2 + len(PLAYERS)  # type: ignore[arg-type]
    assert all(f"[{name}]" in found.caption() for name in names)
    assert len(found.claims()) == 3


def _condition(task: tuple[int, ...], players: tuple[str, ...]) -> Condition:
    half, never = Estimate(0.5, 0.4, 0.6), Estimate(nan, nan, nan)
    outcome = Outcome(never, half, half, half)
    return Condition("x", task, never, never, half, 0.25, dict.fromkeys(players, outcome))


def test_what_could_not_be_measured_is_said_to_be_so() -> None:
    alone = ZeroShot((_condition((0,), ("base",)),), 1, 1)
    assert "F1 of the gate not to be had" in alone.caption() and not alone.claims()
    assert "policy" not in alone.caption()
    told = ZeroShot((_condition((0,), ("base", "mean")), _condition((1,), ("base", "mean"))), 1, 1)
    assert "The policy is not told what is asked for" in told.caption()


def test_a_wrong_variation_is_refused_before_anything_is_measured(smoke_run: Run) -> None:
    loaded = LoadedRun(smoke_run)
    with pytest.raises(UserError, match="size=9: a model made for size 5 reads no other"):
        zero_shot(loaded, ("walls=0", "size=9"))
    assert "fit" not in vars(loaded)


def test_a_world_of_another_size_is_refused_by_whoever_reads_it(smoke_run: Run) -> None:
    loaded = LoadedRun(smoke_run)
    world = type(loaded.world)(replace(loaded.world.config, walls=3))  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="the model was made for columns"):
        replace(loaded.trial, world=world).play(loaded.base)


def test_an_evaluation_on_another_task_has_the_names_of_the_run_s_own(
    smoke_run: Run, found: ZeroShot, tmp_path: Path
) -> None:
    measured = irl_lens.evaluate(smoke_run, task="1-2", out=tmp_path / "numbers.json")
    assert (tmp_path / "numbers.json").exists()
    assert measured.keys() == found.conditions[1].numbers().keys()
    own = json.loads((RESULTS / "grid" / "bundled.json").read_text())["measured"]
    assert measured.keys() - own.keys() == {"internal_rl.subgoals_mean"}
    assert np.isfinite(measured["codes.success_solvable"])
    for task, said in (("1-9", "no subgoal '9'"), ("../1", "no subgoal '../1'")):
        with pytest.raises(UserError, match=said):
            irl_lens.evaluate(smoke_run, task=task, out="nowhere/numbers.json")
