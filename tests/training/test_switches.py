from __future__ import annotations

import numpy as np
import pytest

from irl_lens.training.switches import SwitchCounts, two_levels, two_levels_of_odds


def _marks(*rows: str) -> np.ndarray:
    return np.array([[sign == "x" for sign in row] for row in rows])


def test_switches_are_scored_at_the_exact_step() -> None:
    counts = SwitchCounts.of(
        _marks("x.x..x", ".xx..."), _marks("..x.x.", ".x...."), _marks("xxxxxx", "xxx...")
    )
    assert counts == SwitchCounts(steps=7, fired=4, true=3, hits=2)
    assert counts.scores() == {
        "switch_rate": 4 / 7,
        "precision": 2 / 4,
        "recall": 2 / 3,
        "f1": 4 / 7,
    }


def test_first_steps_and_padding_do_not_count() -> None:
    counts = SwitchCounts.of(_marks("x...xx"), _marks("x....x"), _marks("xxxx.."))
    assert counts == SwitchCounts(steps=3)
    assert set(counts.scores().values()) == {0.0}


def test_labels_that_are_no_more_exact_than_so_many_steps() -> None:
    marks = _marks(".x..x.x."), _marks("..x....x"), _marks("xxxxxxxx")
    exact, near = (SwitchCounts.of(*marks, tolerance=steps) for steps in (0, 1))
    assert (exact.hits, near.hits) == (0, 2)
    assert near.scores()["recall"] == 1 and near.scores()["precision"] == 2 / 3


def test_batches_add_up() -> None:
    one = SwitchCounts.of(_marks(".x"), _marks(".x"), _marks("xx"))
    other = SwitchCounts.of(_marks(".x"), _marks(".."), _marks("xx"))
    assert (one + other).scores()["precision"] == 0.5


@pytest.mark.parametrize("low, high", [(0.1, 0.4), (0.02, 0.98), (0.5, 0.6)])
def test_two_levels_are_split_between_them_however_rare_one_is(low: float, high: float) -> None:
    rng = np.random.default_rng(0)
    for share in (0.06, 0.5):
        open_ = rng.random(5_000) < share
        values = np.where(open_, high, low) + rng.normal(0, 0.01, 5_000)
        assert low + 0.02 < two_levels(values.clip(0, 1)) < high - 0.02


def test_two_levels_is_the_split_of_least_variance_within() -> None:
    values = np.random.default_rng(1).beta(0.5, 2.0, 400)
    values = (np.floor(values * 200) + 0.5) / 200  # what the bins see

    def within(threshold: float) -> float:
        parts = values[values < threshold], values[values >= threshold]
        return sum(len(part) * part.var() for part in parts if len(part))

    best = min(within(edge) for edge in np.arange(1, 200) / 200)
    assert within(two_levels(values)) == pytest.approx(best)


def test_rare_probabilities_are_split_by_their_log_odds() -> None:
    rng = np.random.default_rng(0)
    odds = np.where(
        rng.random(5_000) < 0.15, rng.normal(-0.8, 0.5, 5_000), rng.normal(-3.5, 0.5, 5_000)
    )
    found = two_levels_of_odds(1 / (1 + np.exp(-odds)))
    assert -2.4 < np.log(found / (1 - found)) < -1.9
    assert two_levels(1 / (1 + np.exp(-odds))) > found  # which loses some of the upper group
    assert 0 < two_levels_of_odds(np.array([0.0, 0.0, 1.0], np.float32)) < 1
