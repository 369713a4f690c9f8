"""Controllers that are known to commute, and some that are known not to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from irl_lens.analyses.codes.algebra import algebra, combine
from irl_lens.analyses.codes.matrix_algebra import (
    commutator,
    composition,
    matrix,
    order_in_stream,
    rotated,
)
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.rollouts.patched_actor import Everywhere
from irl_lens.analyses.stats.rank_correlation import correlations
from irl_lens.envs.trajectories import Trajectories
from irl_lens.hooks import Compose, FullController, HypernetworkDecoder, LowRankController
from irl_lens.models.fast import FastPath
from irl_lens.runs.run import Run

if TYPE_CHECKING:
    from tests.analyses.conftest import Planter, Steered


def shown(steered: Steered) -> Trajectories:
    return steered.field.world.demonstrate(20, seed=0)


def test_norms_of_matrices_that_are_known() -> None:
    raising = torch.tensor([[0.0, 1], [0, 0]]).double()
    lowering, other = raising.T, torch.diag(torch.tensor([3.0, -1])).double()
    assert commutator(other, other) == commutator(other, 2 * torch.eye(2).double()) == 0
    # [raising, lowering] = diag(1, -1): sqrt(2) of 2 times 1.
    assert commutator(raising, lowering) == pytest.approx(2**-0.5)
    assert composition(raising, raising) == 0
    assert composition(raising, lowering) == 1
    assert commutator(raising, 0 * lowering) == composition(0 * raising, lowering) == 0


def test_rotation_keeps_the_spectrum() -> None:
    v = torch.randn(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    turned = rotated(v, torch.Generator().manual_seed(1))
    torch.testing.assert_close(torch.linalg.svdvals(turned), torch.linalg.svdvals(v))
    torch.testing.assert_close(turned.trace(), v.trace())
    assert not torch.allclose(turned, v, atol=0.1)


def test_matrices_are_the_controllers_of_either_decoder(steered: Steered) -> None:
    code = steered.switch_codes.take(np.array([0]))[0]
    linear = FullController.from_latent(steered.meta.decoder, code, "hook").U  # type: ignore[arg-type]
    torch.testing.assert_close(matrix(steered.meta, code), linear.double())
    low = steered.deaf()
    decoder = HypernetworkDecoder(n_z=4, hidden=8, d_model=24, rank=2)
    low.meta.decoder = decoder
    factors = LowRankController.from_latent(decoder, code, "hook")
    expected = (factors.B @ factors.A).double().detach()
    torch.testing.assert_close(matrix(low.meta, code), expected)


def test_orders_differ_by_the_commutator(sighted: FastPath, plant: Planter) -> None:
    planted, generator = plant(30, 0, True), torch.Generator().manual_seed(0)
    u, v = torch.randn(2, 16, 16, generator=generator).double() * 0.3
    stream = sighted.residual(torch.from_numpy(planted.observations), 1).detach().double()
    a, b = FullController(u, "hook"), FullController(v, "hook")
    apart = (Compose(a, b)(stream) - Compose(b, a)(stream)).norm(dim=-1) / stream.norm(dim=-1)
    found = order_in_stream(sighted, 1, u, v, planted)
    assert found.value == pytest.approx(float(apart.numpy()[planted.mask].mean()))
    assert order_in_stream(sighted, 1, u, u, planted).value == pytest.approx(0, abs=1e-12)


def test_planted_controllers_steer_mix_and_commute(steered: Steered) -> None:
    result = combine(steered.field, steered.meta, steered.switch_codes, shown(steered))
    assert len(result.singles) == 4 and len(result.pairs) == 6
    for one in result.singles:
        assert one.on.effect.low > 0.2 and one.on.p < 0.01
        assert one.negated.effect.high < 0 and one.negated.p < 0.01
    for pair in result.pairs:
        assert pair.mixed[0][0].value > 0.5 > pair.mixed[0][1].value
        assert pair.mixed[-1][1].value > 0.5 > pair.mixed[-1][0].value
        half = pair.mixed[2]
        assert half[0].value + half[1].value > 0.5
        # What they write they do not read: order is nothing, to the bit of float64.
        assert pair.commutator == pair.stream.value == 0 and pair.composition == (0, 0)
        assert pair.commutator_null > 0.05 and pair.composition_null > 0.05
        assert pair.order.effect.value == 0
    assert np.isnan(result.stream.rho) and "not defined" in result.caption()
    assert "makes 4 of 4 subgoals rarer" in result.caption()
    *singles, norms = result.claims()
    assert len(singles) == 4 and all(c.effect > 0.2 and c.p < 0.05 for c in singles)
    assert np.isnan(norms.p)
    assert len(result.to_dataframe()) == 4 + 6
    assert len(result.figure().to_dict()["data"]) == 6 * 2 + 3 + 2 + 2


def test_where_controllers_do_nothing_nothing_is_reported(steered: Steered) -> None:
    deaf = steered.deaf()
    result = combine(deaf.field, deaf.meta, deaf.switch_codes, shown(deaf))
    for one in result.singles:
        assert one.on.changed.value == one.negated.changed.value == 0
        assert one.on.p == one.negated.p == 1
    assert all(p.order.changed.value == p.stream.value == 0 for p in result.pairs)
    assert "makes 0 of 4 subgoals rarer" in result.caption()
    assert not any(claim.p < 0.05 for claim in result.claims())


def test_rank_correlations_of_few_are_exact_and_adjusted() -> None:
    one = [1.0, 5.0, 2.0, 9.0, 7.0]
    same, constant = correlations(one, [x**3 for x in one], [1.0] * 5)
    # Of 120 pairings one has these ranks and one their reverse.
    assert same.rho == pytest.approx(1) and same.p == pytest.approx(2 / 120)
    assert np.isnan(constant.p) and str(constant) == "not defined"
    both = correlations(one, one, one)
    assert both[0].p == pytest.approx(2 * 2 / 120)


def test_a_hook_for_all_rows_is_that_hook(steered: Steered) -> None:
    controller = FullController(torch.randn(24, 24), steered.meta.hook_name)
    x = torch.randn(3, 1, 24)
    torch.testing.assert_close(Everywhere(controller)(x), controller(x), atol=0, rtol=0)


def test_on_a_run(
    smoke_run: Run, few_demonstrations: Callable[[Run], LoadedRun], tmp_path: Path
) -> None:
    result = algebra(few_demonstrations(smoke_run), rows=8, demonstrations=8, draws=1)
    assert result.caption() and result.save(tmp_path / "result").is_file()
    result.figure()
