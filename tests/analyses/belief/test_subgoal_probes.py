"""Probes find what was planted, and nothing where nothing is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch

from irl_lens.analyses.belief.subgoal_probes import ProbeResult, probe_layers
from irl_lens.analyses.core.demonstrations import Sample
from irl_lens.analyses.core.linear_probe import fit_probe
from irl_lens.errors import UserError
from irl_lens.models.fast import FastPath

if TYPE_CHECKING:
    from tests.analyses.conftest import Planter

SUBGOALS = 4


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_planted_direction_is_found_and_nothing_on_shuffled_labels(
    generator: torch.Generator,
) -> None:
    labels = torch.randint(SUBGOALS, (4_000,), generator=generator)
    directions = 2 * torch.randn(SUBGOALS, 32, generator=generator)
    noise = torch.randn(4_000, 32, generator=generator)
    features = 100 + directions[labels] + noise
    half = slice(2_000), slice(2_000, None)
    probe = fit_probe(features[half[0]], labels[half[0]], SUBGOALS)
    assert (probe.predict(features[half[1]]) == labels[half[1]]).float().mean() > 0.97
    shuffled = labels[half[0]][torch.randperm(2_000, generator=generator)]
    control = fit_probe(features[half[0]], shuffled, SUBGOALS)
    chance = (control.predict(features[half[1]]) == labels[half[1]]).float().mean()
    assert 0.15 < chance < 0.35


@pytest.mark.parametrize("value", [0.0, 1 / 3, 1e4, -123.456])
def test_a_feature_that_never_changes_has_weight_zero(
    value: float, generator: torch.Generator
) -> None:
    features = torch.randn(4_001, 4, generator=generator)
    labels = (features[:, 0] + torch.randn(4_001, generator=generator) > 0).long()
    without = fit_probe(features[:, :3], labels, 2)
    for rounding in (0.0, 1e-7):
        noise = rounding * torch.randn(4_001, generator=generator)
        features[:, 3] = value * (1 + noise)
        probe = fit_probe(features, labels, 2)
        assert torch.equal(probe.weight[:, 3], torch.zeros(2))
        torch.testing.assert_close(probe.weight[:, :3], without.weight)


def test_the_weight_of_a_feature_follows_its_unit(generator: torch.Generator) -> None:
    features = torch.randn(500, 2, generator=generator)
    labels = (features[:, 0] + torch.randn(500, generator=generator) > 0).long()
    one, small = fit_probe(features, labels, 2), fit_probe(features * 2.0**-30, labels, 2)
    torch.testing.assert_close(small.weight, one.weight * 2.0**30)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "0 tokens of 0 classes.*2 classes at least: give it more episodes"),
        ([1], "1 tokens of 1 classes"),
        ([2, 2, 2], "3 tokens of 1 classes"),
        ([0, 3], "labels from 0 to 3 for 3 classes; number them from 0 to 2"),
        ([-1, 2], "labels from -1 to 2"),
    ],
)
def test_labels_that_no_probe_can_be_fitted_on_are_refused(labels: list[int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        fit_probe(torch.ones(len(labels), 2), torch.tensor(labels, dtype=torch.int64), 3)


Probing = Callable[[bool], ProbeResult]


@pytest.fixture
def probing(sighted: FastPath, plant: Planter, uniform_floor: Callable) -> Probing:
    """Probes the base on demonstrations whose observations tell the subgoal, or do not."""

    def result(told: bool) -> ProbeResult:
        train, test = plant(200, 0, told), plant(200, 1, told)
        return probe_layers(sighted, train, Sample(test, uniform_floor(test)), SUBGOALS)

    return result


def test_a_subgoal_in_the_observation_is_read_from_the_embedding_on(probing: Probing) -> None:
    result = probing(True)
    assert [p.layer for p in result.layers] == [0, 1, 2]
    assert result.layers[0].accuracy.value == 1 and result.ceiling and result.ceiling.value == 1
    assert result.gain == pytest.approx(0, abs=1e-9)
    assert all(p.shuffled.value < 0.5 for p in result.layers)
    assert list(result.to_dataframe()["layer"]) == [0, 1, 2]
    assert len(result.figure().to_dict()["data"]) == 3


def test_a_subgoal_that_nothing_tells_is_not_read(probing: Probing) -> None:
    result = probing(False)
    assert all(p.accuracy.low < 0.3 for p in result.layers)
    assert result.ceiling and result.ceiling.value == 1
