"""Actors that are told the true subgoal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from irl_lens.hooks import ControllerBank, LowRankController
from irl_lens.models.baselines import TrueSwitching
from irl_lens.rl.oracle import OracleCodes, OracleControllers
from irl_lens.rl.runner import RolloutRunner

if TYPE_CHECKING:
    from tests.rl.conftest import Parts, Planted


def test_controllers_are_those_of_the_true_subgoal_at_every_step(parts: Parts) -> None:
    names, hook_name = parts.world.subgoal_names, parts.meta.hook_name
    bank = ControllerBank.trainable(
        LowRankController, names, 16, hook_name, rank=2, init=1.0
    ).requires_grad_(False)
    runner = RolloutRunner(parts.fast, parts.world.horizon, OracleControllers(bank))
    rollout = runner.play(parts.world.vector_env(16), seed=1)
    assert rollout.decisions is None
    controller = bank.labelled(torch.from_numpy(rollout.subgoals))
    logits = parts.fast.model.hooked.run_with_hooks(
        torch.from_numpy(rollout.observations), fwd_hooks=[*controller.fwd_hooks()]
    )
    actions = torch.from_numpy(rollout.actions)[..., None]
    expected = logits.log_softmax(-1).gather(-1, actions)[..., 0].numpy()
    assert abs(expected - rollout.log_probs)[rollout.mask].max() < 1e-4


def test_codes_are_taken_up_when_the_gate_opens(parts: Parts) -> None:
    codes = torch.randn(4, 3)
    runner = RolloutRunner(parts.fast, parts.world.horizon, OracleCodes(codes, parts.meta))
    rollout = runner.play(parts.world.vector_env(32), seed=1)
    decisions = rollout.decisions
    assert decisions is not None
    labels = torch.from_numpy(rollout.subgoals)[decisions.rows, decisions.steps]
    assert torch.equal(decisions.codes, codes[labels])


def test_a_gate_that_is_told_the_subgoal_is_told_by_an_oracle_too(parts: Parts) -> None:
    meta = TrueSwitching(parts.meta.decoder, parts.meta.hook_name, parts.meta.device)
    runner = RolloutRunner(parts.fast, parts.world.horizon, OracleCodes(torch.randn(4, 3), meta))
    rollout = runner.play(parts.world.vector_env(32), seed=1)
    assert rollout.subgoals is not None
    changes = np.diff(rollout.subgoals, axis=1, prepend=-1) != 0
    assert (rollout.switches == (changes & rollout.mask)).all()


def test_the_right_codes_solve_the_planted_world(planted: Planted) -> None:
    codes, success = torch.tensor([[3.0, 0], [-3, 0]]), []
    for right in (codes, codes.flip(0)):
        runner = RolloutRunner(planted.fast, 3, OracleCodes(right, planted.meta))
        success.append(runner.play(planted.world.vector_env(64), seed=0).success.mean())
    assert success == [1, 0]


def test_labels_are_of_one_step_and_used_once(parts: Parts) -> None:
    bank = ControllerBank.trainable(
        LowRankController, "abcd", 16, parts.meta.hook_name, rank=2, init=1.0
    )
    x, told = torch.randn(2, 3, 16), {"subgoal": torch.tensor([0, 1])}
    for oracle in (OracleControllers(bank), OracleCodes(torch.randn(4, 3), parts.meta)):
        oracle.observe(told)
        with pytest.raises(ValueError, match=r"one step at a time.* carries 3; play it"):
            oracle(x)
        oracle(x[:, :1])
        with pytest.raises(ValueError, match="not told the labels of this step"):
            oracle(x[:, :1])
