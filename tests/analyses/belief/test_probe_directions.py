"""Controllers that read or write what a probe reads are told from those that do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from irl_lens.analyses.belief.direction_overlap import (
    Fitting,
    Pushed,
    jackknife,
    overlaps,
    random_pvalue,
)
from irl_lens.analyses.belief.layer_directions import LayerDirections, layer_directions
from irl_lens.analyses.belief.probe_directions import probe_directions
from irl_lens.analyses.core.label_controllers import LabelControllers, Source
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.stats.significance import exchange_pvalues
from irl_lens.errors import UserError
from irl_lens.hooks import ControllerBank, LowRankController
from irl_lens.models.fast import FastPath
from irl_lens.runs.run import Run, find_run

if TYPE_CHECKING:
    from tests.analyses.conftest import Planter

WIDTH, CLASSES, NAMES = 32, 4, ("a", "b", "c", "d")


def found_for(reads: Tensor, writes: Tensor) -> LayerDirections:
    """Rank-1 controllers against a stream that has one direction a class, and noise."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(CLASSES, (1_200,), generator=generator)
    noise = torch.randn(1_200, WIDTH, generator=generator)
    groups = torch.arange(1_200) % 8
    stream = 1.5 * planted()[labels] + noise
    bank = ControllerBank(NAMES, LowRankController(reads[:, None], writes[..., None], "hook"))
    fitting = Fitting(stream, labels, groups, CLASSES, 20)
    episodes = stream.view(40, 30, WIDTH)
    change = torch.stack([bank[name].delta(episodes) for name in NAMES], dim=2)
    pushed = Pushed(F.normalize(change, dim=-1).sum(dim=1), np.full(40, 30))
    return layer_directions(1, bank, fitting, pushed, draws=199)


def planted() -> Tensor:
    """Orthogonal directions, one a class."""
    generator = torch.Generator().manual_seed(1)
    return torch.linalg.qr(torch.randn(WIDTH, CLASSES, generator=generator)).Q.T


def test_a_planted_direction_is_found_on_its_own_side_alone() -> None:
    generator = torch.Generator().manual_seed(2)
    found = found_for(planted(), torch.randn(CLASSES, WIDTH, generator=generator))
    reads, writes, _ = found.alignments
    assert reads.own > 0.75 > 0.45 > reads.other and reads.exchange == pytest.approx(1 / 24)
    assert (np.diagonal(reads.p) < 0.05).all()
    low, high = (np.diagonal(side) for side in reads.value[1:])
    assert (low < np.diagonal(reads.value[0])).all() and (high - low < 0.4).all()
    assert (np.diagonal(writes.p) > 0.05).all() and writes.exchange > 0.05
    assert found.cosines[0, 0, 0, 0] == pytest.approx(reads.value[0, 0, 0], abs=1e-6)


def test_a_push_towards_another_class_is_seen_with_its_sign() -> None:
    # Reads the sum of all classes' directions, which is positive in every state.
    found = found_for(planted().sum(dim=0).expand(CLASSES, -1), planted().roll(-1, dims=0))
    pushes = found.alignments[2]
    towards = pushes.value[0][np.arange(CLASSES), (np.arange(CLASSES) + 1) % CLASSES]
    assert (towards > 0.3).all() and (np.diagonal(pushes.value[0]) < 0).all()
    assert pushes.exchange > 0.5 and found.alignments[1].exchange > 0.5


def test_random_controllers_share_nothing() -> None:
    generator = torch.Generator().manual_seed(5)
    found = found_for(*torch.randn(2, CLASSES, WIDTH, generator=generator))
    for alignment in found.alignments:
        assert (alignment.p > 0.05).all() and alignment.exchange > 0.05


def test_overlap_is_one_if_nothing_else_is_read_and_zero_for_a_zero_controller() -> None:
    direction = F.normalize(torch.randn(1, WIDTH), dim=1)
    values = torch.tensor([[2.0], [0.0]])
    found = overlaps(values, direction.expand(2, 1, WIDTH), direction)
    np.testing.assert_allclose(found, [[1], [0]], atol=1e-6)


def test_the_exact_p_is_that_of_random_directions() -> None:
    draws = F.normalize(torch.randn(20_000, WIDTH, generator=torch.Generator().manual_seed(0)))
    for size in (0.05, 0.2, 0.4):
        share = float((draws[:, 0].abs() >= size).double().mean())
        assert random_pvalue(np.array([size]), WIDTH) == pytest.approx(share, abs=0.01)


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    x = np.random.default_rng(0).normal(size=8)
    left_out = np.array([np.delete(x, k).mean() for k in range(8)])[:, None, None]
    value, low, high = jackknife(np.array([[x.mean()]]), left_out)
    half = 2.364624 * x.std(ddof=1) / np.sqrt(8)
    assert (high - value).item() == pytest.approx(half) == pytest.approx((value - low).item())


def test_exchange_counts_all_orders() -> None:
    assert exchange_pvalues(np.eye(4)[None]).tolist() == pytest.approx([1 / 24])
    assert exchange_pvalues(np.ones((1, 4, 4))).tolist() == [1]
    assert exchange_pvalues(np.eye(3)[None, [1, 2, 0]]).tolist() == [1]
    # Of seven labels not all orders are tried.
    assert exchange_pvalues(np.eye(7)[None], draws=99).tolist() == [0.01]


def test_several_tables_that_are_chance_are_not_taken_for_more() -> None:
    rng = np.random.default_rng(0)
    p = np.array([exchange_pvalues(rng.normal(size=(3, 4, 4))) for _ in range(200)])
    assert (p.min(axis=1) < 0.05).mean() < 0.1
    planted = np.stack([np.eye(4), *rng.normal(size=(2, 4, 4))])
    assert exchange_pvalues(planted)[0] == pytest.approx(1 / 24)


def test_pushes_of_demonstrations_are_summed_over_their_steps(
    sighted: FastPath, plant: Planter
) -> None:
    shown = plant(70, 0, True)
    generator = torch.Generator().manual_seed(0)
    width = sighted.model.d_model
    bank = ControllerBank.trainable(
        LowRankController, "ab", width, "blocks.0.hook_resid_post", rank=2, generator=generator
    )
    pushed = Pushed.of(sighted, bank.requires_grad_(False), 1, shown)
    one = plant(70, 0, True).rows(slice(3, 4))
    alone = Pushed.of(sighted, bank, 1, one)
    torch.testing.assert_close(pushed.total[3:4], alone.total, atol=1e-4, rtol=1e-4)
    assert (pushed.total.norm(dim=-1).numpy() <= pushed.steps[:, None] + 1e-4).all()


@pytest.mark.parametrize("source", ["controllers", "codes"])
def test_on_the_bundled_model(
    few_demonstrations: Callable[[Run], LoadedRun], source: Source, tmp_path: Path
) -> None:
    result = probe_directions(few_demonstrations(find_run("grid")), source, iterations=5, draws=99)
    cells = 3 * len(result.layers) * len(result.names) ** 2
    table = result.to_dataframe()
    assert len(table) == cells and not table.isna().any().any()
    assert {"cosine", "p", "singular_value"} <= set(result.singular_vectors().columns)
    assert len(result.claims()) == 3 and "by exchange" in result.caption()
    assert result.save(tmp_path / "it").exists()
    assert len(result.figure().to_dict()["data"]) == 3 * len(result.layers) + 2 * 5


def test_a_layer_or_a_subgoal_without_controllers_is_named(
    few_demonstrations: Callable[[Run], LoadedRun],
) -> None:
    loaded = few_demonstrations(find_run("grid"))
    with pytest.raises(UserError, match="no controllers at layer 99; there are some at 1"):
        LabelControllers.of(loaded).at(99)
    with pytest.raises(UserError, match="no switch of 1 demonstrations begins subgoal"):
        LabelControllers.of(loaded, "codes", episodes=1)
