"""Scores of gates that are exactly right, late or random; and switches added and taken away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.gate.boundary_f1 import score_gate
from irl_lens.analyses.gate.counterfactual import edit_gate, what_if
from irl_lens.analyses.gate.detection import BoundaryDetection, boundary_detection, science
from irl_lens.analyses.gate.detection_scores import REACH
from irl_lens.analyses.gate.event_scores import NONE, latencies, poisson
from irl_lens.analyses.rollouts.patched_actor import in_force
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import UserError
from irl_lens.models.trace import MetaTrace
from irl_lens.runs.run import Run, find_run
from irl_lens.training.switches import hits, moved

if TYPE_CHECKING:
    from tests.analyses.conftest import Planter, Steered


def marks(*rows: str) -> np.ndarray:
    return np.array([[c == "x" for c in row] for row in rows])


def scored(
    trajectories: Trajectories, switches: np.ndarray, soft: float = 0.0
) -> BoundaryDetection:
    beta = np.where(switches, 1 - soft, soft).astype(np.float32)
    beta[:, 0] = 1
    beta[~trajectories.mask] = 0
    blank = np.zeros((*beta.shape, 2), np.float32)
    trace = MetaTrace(blank, beta, blank, blank, blank, trajectories.mask)
    return science(trace, trajectories, draws=30)


def test_hits_use_each_switch_and_each_boundary_once() -> None:
    boundaries = marks(".x..x...", ".x.x....", "..x.....")
    switches = marks("..x.x...", "..x.....", ".x.x....")
    np.testing.assert_array_equal(hits(switches, boundaries, 0), [1, 0, 0])
    np.testing.assert_array_equal(hits(switches, boundaries, 1), [2, 1, 1])


def test_moving_loses_what_leaves() -> None:
    np.testing.assert_array_equal(moved(marks("x..x"), 1), marks(".x.."))
    np.testing.assert_array_equal(moved(marks("x..x"), -1), marks("..x."))
    assert not moved(marks("x..x"), 9).any()


def test_latency_is_signed_and_to_the_nearest() -> None:
    boundaries = marks("..x...x.", "..x.....", "...x....")
    switches = marks("...x.x..", "........", ".x...x..")
    np.testing.assert_array_equal(latencies(switches, boundaries), [1, -1, NONE, 2])


def test_poisson_has_the_rate_and_spares_first_steps_and_padding(plant: Planter) -> None:
    mask = plant(2_000, 0, True).mask
    drawn = poisson(mask, 0.3, np.random.default_rng(0))
    assert not drawn[:, 0].any() and not drawn[~mask].any()
    assert abs(drawn[:, 1:].sum() / mask[:, 1:].sum() - 0.3) < 0.02


def test_an_exact_gate_is_perfect_and_beats_both_nulls(plant: Planter) -> None:
    planted = plant(300, 0, True)
    result = scored(planted, planted.boundaries())
    assert [d.f1.value for d in result.detections] == [1, 1]
    assert all(n.p == pytest.approx(1 / 31) for d in result.detections for n in d.nulls.values())
    assert result.agreement.score.value == 1 and max(result.agreement.p.values()) < 0.01
    assert result.latency[REACH] == 1 and result.undecided.value == 0
    assert "above both nulls" in result.caption() and "NOT" not in result.caption()
    (claim,) = result.claims()
    assert claim.effect > 0.5 and claim.p < 0.05


def test_one_step_late_is_nothing_exactly_and_all_within_one(plant: Planter) -> None:
    planted = plant(300, 0, True)
    boundaries = planted.boundaries()
    # Of boundaries on an episode's last step, the switch would come after the end.
    ends = np.arange(16) == planted.lengths[:, None] - 1
    boundaries &= ~ends
    late = moved(boundaries, 1)
    result = scored(planted, late)
    exact, loose = result.detections
    assert exact.f1.value == 0 and exact.precision.value == 0
    assert loose.precision.value == 1 and loose.f1.value > 0.9
    assert result.latency[REACH + 1] > 0.9
    assert "NOT above both nulls" in result.caption()


def test_a_random_gate_does_not_beat_its_nulls(plant: Planter) -> None:
    planted = plant(300, 0, True)
    random = np.random.default_rng(1).random(planted.mask.shape) < 0.25
    result = scored(planted, random, soft=0.3)
    assert min(n.p for d in result.detections for n in d.nulls.values()) > 0.02
    assert min(result.agreement.p.values()) > 0.02
    assert result.undecided.value == 1
    assert "NOT above both nulls" in result.caption()
    (claim,) = result.claims()
    assert abs(claim.effect) < 0.1 and claim.p > 0.05


def test_exact_scores_are_those_of_the_report(plant: Planter) -> None:
    planted = plant(200, 3, True)
    switches = np.random.default_rng(2).random(planted.mask.shape) < 0.3
    result, known = (
        scored(planted, switches),
        score_gate(switches, planted.boundaries(), planted.mask),
    )
    for name in ("precision", "recall", "f1"):
        assert getattr(result.detections[0], name) == getattr(known, name)
    assert (result.switch_rate, result.boundary_rate) == (known.switch_rate, known.boundary_rate)


def test_a_silent_gate_has_scores_and_figure_too(plant: Planter) -> None:
    planted = plant(50, 0, True)
    result = scored(planted, np.zeros_like(planted.mask))
    assert result.detections[0].f1.value == 0 and result.latency[-1] == 1
    assert "NOT above both nulls" in result.caption()
    assert len(result.figure().to_dict()["data"]) == 3 + 2 + 1


def test_code_in_force_is_that_of_the_last_opening() -> None:
    drawn = np.arange(12).reshape(3, 4)
    gate = marks("x.x.", "x...", "xx..")
    np.testing.assert_array_equal(in_force(drawn, gate, np.array([3, 3, 1])), [2, 4, 8])


def test_planted_switches_matter_and_the_same_code_changes_nothing(steered: Steered) -> None:
    result = edit_gate(steered.field, steered.meta, steered.switch_codes, steps=(1, 3))
    *forced, silenced = result.changes
    for change in forced:
        assert change.effect.effect.low > 0.2 and change.effect.p < 0.01
        assert change.effect.shift.low > 0.1
        assert change.unchanged is not None and change.unchanged.changed.value == 0
        assert change.unchanged.effect.value == change.unchanged.shift.value == 0
    assert silenced.effect.effect.high < -0.1 and silenced.effect.p < 0.01
    assert "may be chance" not in result.caption()
    assert all(claim.effect > 0.2 and claim.p < 0.05 for claim in result.claims()[:1])
    assert len(result.to_dataframe()) == 2 * 2 + 1
    assert len(result.figure().to_dict()["data"]) == 3


def test_where_codes_do_nothing_switches_do_nothing(steered: Steered) -> None:
    deaf = steered.deaf()
    result = edit_gate(deaf.field, deaf.meta, deaf.switch_codes, steps=(1,))
    for change in result.changes:
        assert change.effect.changed.value == 0 and change.effect.p == 1
    assert result.caption().count("may be chance") == 2
    assert not any(claim.p < 0.05 for claim in result.claims())


@pytest.mark.parametrize("step", [0, 24])
def test_steps_that_are_none_are_refused(steered: Steered, step: int) -> None:
    with pytest.raises(UserError, match=f"step {step}; take one from 1 to 23"):
        edit_gate(steered.field, steered.meta, steered.switch_codes, steps=(step,))


@pytest.mark.parametrize("which", ["smoke", "grid"])
def test_on_runs(
    which: str, smoke_run: Run, few_demonstrations: Callable[[Run], LoadedRun], tmp_path: Path
) -> None:
    loaded = few_demonstrations(smoke_run if which == "smoke" else find_run("grid"))
    for result in (boundary_detection(loaded, draws=5), what_if(loaded, steps=(2,), rows=16)):
        assert result.caption() and len(result.to_dataframe())
        assert result.save(tmp_path / "result").is_file()
        result.figure()
