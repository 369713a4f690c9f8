"""Steering: planted controllers, and the control that has their norm."""

from __future__ import annotations

import pytest
import torch

from irl_lens.analyses.control.by_layer import control_by_layer
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.hooks import ControllerBank, FullController, LowRankController, VectorController
from irl_lens.models.base import hook_name
from irl_lens.runs.run import Run


def _bank(loaded: LoadedRun, init: float) -> ControllerBank:
    generator = torch.Generator().manual_seed(0)
    names, width = loaded.world.subgoal_names, loaded.base.model.d_model
    bank = ControllerBank.trainable(
        LowRankController, names, width, hook_name(1), rank=4, init=init, generator=generator
    )
    return bank.requires_grad_(False)


@pytest.mark.parametrize("kind", ["low_rank", "full", "vector"])
def test_control_changes_the_stream_by_as_much_elsewhere(kind: str) -> None:
    stream, labels = torch.randn(3, 5, 16), torch.randint(3, (3, 5))
    banks = {
        "low_rank": lambda: ControllerBank.trainable(
            LowRankController, "abc", 16, hook_name(1), rank=4, init=0.5
        ),
        "full": lambda: ControllerBank.trainable(FullController, "abc", 16, hook_name(1), init=0.5),
        "vector": lambda: ControllerBank("abc", VectorController(torch.randn(3, 16), hook_name(1))),
    }
    bank = banks[kind]().requires_grad_(False)
    true, control = (b.labelled(labels).delta(stream) for b in (bank, bank.null()))
    torch.testing.assert_close(true.norm(dim=-1), control.norm(dim=-1))
    assert (torch.cosine_similarity(true, control, dim=-1).abs() < 0.9).all()


def test_controllers_that_do_nothing_close_nothing(smoke_run: Run) -> None:
    loaded = LoadedRun(smoke_run)
    result = control_by_layer(
        loaded.base, {1: _bank(loaded, 0)}, "subgoal", loaded.test, loaded.trial
    )
    (layer,) = result.layers
    assert layer.gap_closed.value == pytest.approx(0, abs=1e-6)
    assert layer.outcome == result.raw == layer.random and layer.p == 1
    assert layer.random_gap_closed == layer.gap_closed
    assert "may be chance" in result.caption()
    assert result.most_closed is result.most_successful is layer
    assert list(result.to_dataframe()["layer"]) == [1]
    assert len(result.figure().to_dict()["data"]) == 8


def test_success_over_all_boards_counts_the_unsolvable_as_failures(smoke_run: Run) -> None:
    loaded = LoadedRun(smoke_run)
    outcome = loaded.trial.play(loaded.base, prefix=1)
    assert 0 < outcome.success_all.value <= outcome.success_solvable.value
