"""Detectors of boundaries that discovered nothing, in cases where the best one is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.gate.boundary_f1 import f1_of, gate, score_gate
from irl_lens.analyses.gate.nulls import best_rule, best_threshold, fires, gate_nulls, probe_f1
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import NotOffered
from irl_lens.models.fast import FastPath
from irl_lens.runs.run import Run

if TYPE_CHECKING:
    from tests.analyses.conftest import Planter


@pytest.fixture
def planted(plant: Planter) -> Trajectories:
    return plant(300, 0, True)


@pytest.mark.parametrize("tolerance", [0, 2])
def test_any_marks_are_scored_as_a_gates_switches(planted: Trajectories, tolerance: int) -> None:
    shown, marks = replace(planted, tolerance=tolerance), np.random.default_rng(1)
    fired = marks.random(shown.mask.shape) < 0.3
    scores = score_gate(fired, shown.boundaries(), shown.mask, draws=1, tolerance=tolerance)
    assert f1_of(fired, shown) == scores.f1


def test_the_best_rule_is_of_the_events_that_make_boundaries(planted: Trajectories) -> None:
    rng, true = np.random.default_rng(2), planted.boundaries()
    half = rng.random(true.shape) < 0.5
    noise = (rng.random(true.shape) < 0.2) & planted.mask & ~true
    noise[:, 0] = False
    never = np.zeros_like(true)
    # Half of the boundaries, noise, the other half with some noise, and what never happens.
    events = np.stack([true & half, noise, (true & ~half) | (noise & half), never], axis=2)
    assert best_rule(events, planted) == (0, 2)
    assert best_rule(events[..., [1, 0]], planted) == (1,)
    assert best_rule(events[..., 3:], planted) == ()
    assert not fires(events, ()).any()
    both = np.stack([true & half, true & ~half], axis=2)
    assert f1_of(fires(both, best_rule(both, planted)), planted).value == 1


def test_the_best_threshold_parts_what_can_be_parted(planted: Trajectories) -> None:
    values = np.where(planted.boundaries(), 0.33, 0.22)
    c = best_threshold(values, planted)
    assert 0.22 < c <= 0.33 and f1_of(values >= c, planted).value == 1


@pytest.mark.parametrize("seen", [True, False])
def test_a_probe_finds_what_is_seen_and_nothing_else(
    plant: Planter, sighted: FastPath, seen: bool
) -> None:
    split = []
    for seed in (0, 1):
        shown = plant(150, seed, True)
        sign = shown.boundaries() if seen else np.zeros_like(shown.mask)
        split.append(replace(shown, observations=sign[..., None].astype(np.int32)))
    found, layer = probe_f1(sighted, (split[0], split[1]), 60)
    if seen:
        assert found[0].value == found[layer].value == 1
    else:  # from the step's number alone, which attention tells roughly
        assert found[0].value < 0.5


def test_on_a_run_arrivals_tell_boundaries(
    smoke_run: Run, few_demonstrations: Callable[..., LoadedRun]
) -> None:
    loaded = few_demonstrations(smoke_run, 64)
    found = gate_nulls(loaded, iterations=60, gates=2)
    own = gate(loaded).scores
    assert (found.gate, found.shifted) == (own.f1, own.f1_null)
    assert found.event is not None and found.event.value == 1  # any arrival on the right colours
    assert found.rule and all(name.startswith("arrival") for name in found.rule)
    assert len(found.probes) == loaded.base.model.n_layers + 1
    assert found.untrained.low < found.untrained.value < found.untrained.high < 0.6
    assert list(found.to_dataframe()["detector"])[:2] == ["gate", "shifted switches"]
    assert len(found.figure().data[0].x) == len(found.to_dataframe()) == len(found.scores)  # type: ignore
    assert "which event matters" in found.caption()
    hidden = replace(found, gate=found.event, event=None, probes=found.probes[-1:], layer=0)
    hidden = replace(hidden, probes=(own.f1_null,))
    assert "which event matters" not in hidden.caption() and "rule" not in hidden.caption()


def test_where_nothing_new_begins_there_is_nothing_to_find(smoke_run: Run) -> None:
    loaded = LoadedRun(smoke_run)
    one = np.where(loaded.fit.mask, 0, -1)
    loaded.__dict__["fit"] = replace(loaded.fit, subgoals=one)
    with pytest.raises(NotOffered, match="no new subgoal begins within any of"):
        gate_nulls(loaded)
