"""Codes that are subgoals, and codes that are not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from irl_lens.analyses.codes.cluster_scores import (
    exchanged,
    mutual_information,
    ordinals,
    purity,
)
from irl_lens.analyses.codes.clusters import LatentSpace, describe_codes, latent_space, unrolled
from irl_lens.analyses.core.switch_codes import SwitchCodes
from irl_lens.analyses.report.headline_results import LoadedRun
from irl_lens.errors import UserError
from irl_lens.runs.run import Run, find_run

NAMES = ("a", "b", "c", "d")


def harvested(separation: float, seed: int = 0) -> SwitchCodes:
    """Three codes an episode, around one centre a subgoal."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(4, size=600)
    codes = separation * np.eye(4)[labels] + 0.1 * rng.normal(size=(600, 4))
    return SwitchCodes(codes.astype(np.float32), labels, np.arange(600) // 3)


def described(harvest: SwitchCodes, umap: bool = False) -> LatentSpace:
    return describe_codes(harvest, NAMES, 4, draws=100, umap=umap)


def test_planted_kinds_are_found() -> None:
    result = described(harvested(1.0))
    assert result.purity.value.value == 1 and result.purity.p == pytest.approx(1 / 101)
    assert result.information.value.value == pytest.approx(result.entropy)
    assert result.information.null.high < 0.1 and result.information.p == pytest.approx(1 / 101)
    assert result.information.value.low > 1.9
    assert "NOT" not in result.caption()
    (claim,) = result.claims()
    assert claim.effect > 0.9 and claim.p == result.information.p
    assert list(result.to_dataframe()["score"]) == ["purity", "information"]
    assert len(result.figure().to_dict()["data"]) == 4 + 4


def test_without_umap_learn_there_are_the_principal_axes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)  # as if it were not installed
    result = described(harvested(1.0), umap=True)
    assert result.unrolled is None
    assert len(result.figure().to_dict()["data"]) == 4 + 4


@pytest.mark.filterwarnings("ignore:Tensorflow not installed:ImportWarning")
def test_umap_keeps_neighbours_together_and_changes_no_number(tmp_path: Path) -> None:
    pytest.importorskip("umap")
    harvest = harvested(1.0)
    result = described(harvest, umap=True)
    assert result.unrolled is not None and result.unrolled.shape == (600, 2)
    centres = np.stack([result.unrolled[result.labels == g].mean(axis=0) for g in range(4)])
    apart = np.linalg.norm(result.unrolled[:, None] - centres, axis=-1)
    assert (apart.argmin(axis=1) == result.labels).all()
    assert len(result.figure().to_dict()["data"]) == 2 * 4 + 4
    assert result.save(tmp_path / "result").is_file()
    np.testing.assert_array_equal(unrolled(harvest.codes), result.unrolled)
    assert unrolled(np.repeat(harvest.codes[:15], 3, axis=0)) is None
    assert described(harvest).to_dataframe().equals(result.to_dataframe())


def test_where_nothing_is_planted_p_is_small_as_seldom_as_it_should_be() -> None:
    results = [describe_codes(harvested(0.0, seed), NAMES, 4, draws=40) for seed in range(12)]
    found = np.array([(r.information.p, r.purity.p) for r in results])
    assert ((found < 0.05).sum(axis=0) <= 2).all()
    assert (found.mean(axis=0) > 0.3).all() and (found.mean(axis=0) < 0.7).all()
    for result in results:
        assert result.information.value.value < 0.05
        assert ("NOT more than" in result.caption()) == (result.information.p >= 0.05)


def test_what_all_first_codes_share_is_no_finding() -> None:
    """First codes lie apart, and are of subgoal 0 or 1 only; nothing else is known."""
    rng, first = np.random.default_rng(0), np.arange(600) % 3 == 0
    labels = np.where(first, rng.integers(2, size=600), rng.integers(2, 4, size=600))
    codes = 5 * first[:, None] + rng.normal(size=(600, 4))
    harvest = SwitchCodes(codes.astype(np.float32), labels, np.arange(600) // 3)
    result = described(harvest)
    assert result.information.value.value > 0.5  # by the place in the episode alone
    assert result.information.p > 0.05 and "NOT more than" in result.caption()
    assert abs(result.claims()[0].effect) < 0.05


def test_information_is_scikit_learns_in_bits() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.integers(3, size=200), rng.integers(4, size=200)
    table = np.zeros((3, 4))
    np.add.at(table, (one, other), 1)
    assert mutual_information(table) == pytest.approx(mutual_info_score(one, other) / np.log(2))
    assert purity(np.array([[3.0, 1], [0, 4]])) == 7 / 8


def test_labels_are_exchanged_between_equal_places_only() -> None:
    order = ordinals(np.array([0, 0, 0, 3, 3, 7]))
    np.testing.assert_array_equal(order, [0, 1, 2, 0, 1, 0])
    labels = np.arange(6)
    seen = {tuple(exchanged(labels, order, np.random.default_rng(i))) for i in range(60)}
    assert {row[2] for row in seen} == {2}
    assert {row[1] for row in seen} == {1, 4} and {row[0] for row in seen} == {0, 3, 5}
    assert all(sorted(row) == list(range(6)) for row in seen)


def test_codes_of_a_subgoal_that_never_was_are_refused() -> None:
    harvest = harvested(1.0)
    with pytest.raises(UserError, match="no code of subgoal 9 among 600"):
        harvest.draw(3, np.random.default_rng(0), 9)


@pytest.mark.parametrize("which", ["smoke", "grid"])
def test_on_runs(
    which: str, smoke_run: Run, small_bench: Callable[[Run], LoadedRun], tmp_path: Path
) -> None:
    bench = small_bench(smoke_run if which == "smoke" else find_run("grid"))
    result = latent_space(bench, draws=20)
    assert result.caption() and result.save(tmp_path / "result").is_file()
    result.figure()
