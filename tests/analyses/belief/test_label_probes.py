"""Labels of every kind, and probes that find them where they are and only there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from irl_lens.analyses.belief.label_probes import label_probes, right_answers
from irl_lens.analyses.core.labels import by_token, labels_of
from irl_lens.analyses.core.linear_probe import fit_probes, shuffled_labels, stream_of_steps
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.stats.estimates import step_mean
from irl_lens.models.fast import FastPath
from irl_lens.runs.run import find_run

if TYPE_CHECKING:
    from tests.analyses.conftest import Planter


def test_the_next_subgoal_is_the_one_after_the_present_one(plant: Planter) -> None:
    few = plant(1, 0, True)
    subgoals = np.full_like(few.subgoals, -1)
    subgoals[0, :6] = [2, 2, 0, 0, 0, 1]
    own = replace(few, subgoals=subgoals, mask=subgoals >= 0)
    assert labels_of(own, "next subgoal")[0, :6].tolist() == [0, 0, 1, 1, 1, -1]
    assert (labels_of(own, "next subgoal")[0, 6:] == -1).all()


def test_a_direction_is_a_label_only_where_one_way_is_shortest(plant: Planter) -> None:
    few = plant(1, 0, True)
    policy, mask = np.zeros_like(few.policy), np.zeros_like(few.mask)
    policy[0, :3] = [[0, 1, 0], [0.5, 0, 0.5], [0, 0, 1]]
    mask[0, :2] = True
    own = replace(few, policy=policy, mask=mask)
    assert labels_of(own, "direction")[0, :3].tolist() == [1, -1, -1]


def test_an_unknown_target_is_refused(plant: Planter) -> None:
    with pytest.raises(ValueError, match=r"no target 'mood'; the targets are subgoal, visit"):
        labels_of(plant(2, 0, True), "mood")


@pytest.mark.parametrize("told", [True, False])
def test_a_planted_label_is_found_and_no_other(
    sighted: FastPath, plant: Planter, told: bool
) -> None:
    fit, test = plant(150, 0, told), plant(150, 1, told)
    labels = torch.from_numpy(by_token(fit, "subgoal"))
    probes = fit_probes(stream_of_steps(sighted, fit), labels, 4, 60)
    marks = right_answers(sighted, test, "subgoal", probes)
    for layer in range(marks.shape[2]):
        score = step_mean(marks[..., layer], test.mask)
        assert score.value > 0.95 if told else score.low < 0.3


def test_shuffling_deals_out_the_same_labels_and_none_where_none_was() -> None:
    labels = torch.tensor([0, -1, 1, 2, 3, -1, 0, 1] * 4)
    dealt = shuffled_labels(labels, seed=0)
    assert sorted(dealt.tolist()) == sorted(labels.tolist()) and dealt.tolist() != labels.tolist()
    assert torch.equal(dealt < 0, labels < 0)


def test_on_the_bundled_model_training_is_what_makes_the_subgoal_readable(
    few_demonstrations: Callable[..., LoadedRun],
) -> None:
    loaded = few_demonstrations(find_run("grid"), 240)
    result = label_probes(loaded, ("subgoal", "direction"), iterations=15)
    best = result.best("subgoal")
    assert best.accuracy.low > max(best.shuffled.high, best.untrained.high) and best.layer > 0
    least = best.accuracy.value - max(best.shuffled.value, best.untrained.value)
    assert best.selectivity.value == pytest.approx(least) and best.selectivity.low > 0.05
    assert f"subgoal at layer {best.layer}" in result.caption()
    assert [claim.p < 0.05 for claim in result.claims()] == [True, True]
    layers = loaded.base.model.n_layers + 1
    assert len(result.to_dataframe()) == 2 * layers
    assert len(result.figure().to_dict()["data"]) == 2 * 3
