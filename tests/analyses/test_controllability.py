"""Steering: planted controllers, and the control that has their norm."""

from __future__ import annotations

import pytest
import torch

from irl_lens.analyses.controllability import control_by_layer, rotated
from irl_lens.analyses.findings import Bench
from irl_lens.hooks import ControllerBank
from irl_lens.models.base import hook_name
from irl_lens.runs import Run


def _bank(bench: Bench, init: float) -> ControllerBank:
    generator = torch.Generator().manual_seed(0)
    names, width = bench.world.subgoal_names, bench.base.model.d_model
    bank = ControllerBank.low_rank(names, width, 4, hook_name(1), init, generator=generator)
    return bank.requires_grad_(False)


def test_control_changes_the_stream_by_as_much_elsewhere(smoke_run: Run) -> None:
    bank = _bank(Bench(smoke_run), 0.5)
    stream = torch.randn(3, 5, bank.stack.d_model)
    labels = torch.randint(len(bank), (3, 5))
    true, control = (b.labelled(labels).delta(stream) for b in (bank, rotated(bank)))
    torch.testing.assert_close(true.norm(dim=-1), control.norm(dim=-1))
    assert (torch.cosine_similarity(true, control, dim=-1).abs() < 0.9).all()


def test_only_low_rank_controllers_are_rotated() -> None:
    with pytest.raises(ValueError, match="VectorController"):
        rotated(ControllerBank.vector(("a", "b"), 8, hook_name(1)))


def test_controllers_that_do_nothing_close_nothing(smoke_run: Run) -> None:
    bench = Bench(smoke_run)
    result = control_by_layer(bench.base, {1: _bank(bench, 0)}, "subgoal", bench.test, bench.trial)
    (layer,) = result.layers
    assert layer.gap_closed.value == pytest.approx(0, abs=1e-6)
    assert layer.outcome == result.raw == layer.random
    assert result.most_closed is result.most_successful is layer
    assert list(result.to_dataframe()["layer"]) == [1]
    assert len(result.figure().to_dict()["data"]) == 7


def test_success_over_all_boards_counts_the_unsolvable_as_failures(smoke_run: Run) -> None:
    bench = Bench(smoke_run)
    outcome = bench.trial.play(bench.base, prefix=1)
    assert 0 < outcome.success_all.value <= outcome.success_solvable.value
