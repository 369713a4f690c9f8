"""The policy as a hook: carried caches, decisions at switches only, codes held to the bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from irl_lens.hooks import CodeController, starting_at
from irl_lens.models.acting import THRESHOLD
from irl_lens.rl.recorder import Rollout
from irl_lens.rl.runner import RolloutRunner

if TYPE_CHECKING:
    from tests.rl.conftest import Parts


def played(parts: Parts) -> Rollout:
    """Sixteen episodes of an untrained policy."""
    runner = RolloutRunner(parts.fast, parts.world.horizon, parts.policy())
    return runner.play(parts.world.vector_env(16), seed=3)


def whole(parts: Parts, rollout: Rollout) -> tuple[Tensor, Tensor, Tensor]:
    """Observations, codes in force, and e_t of whole sequences, by TransformerLens itself."""
    observations = torch.from_numpy(rollout.observations)
    name, kept = parts.meta.hook_name, []
    parts.fast.model.hooked.run_with_hooks(
        observations, fwd_hooks=[(name, lambda stream, hook: kept.append(stream))]
    )
    assert rollout.decisions is not None
    return observations, rollout.decisions.held(*rollout.mask.shape), kept[0]


def test_stepwise_equals_the_full_forward_with_the_recorded_codes(parts: Parts) -> None:
    rollout = played(parts)
    observations, codes, _ = whole(parts, rollout)
    controller = CodeController(parts.meta.decoder, codes, parts.meta.hook_name)
    logits = parts.fast.model.hooked.run_with_hooks(
        observations, fwd_hooks=[*controller.fwd_hooks()]
    )
    actions = torch.from_numpy(rollout.actions)[..., None]
    expected = logits.log_softmax(-1).gather(-1, actions)[..., 0].numpy()
    assert abs(expected - rollout.log_probs)[rollout.mask].max() < 1e-4


def test_codes_change_what_is_done(parts: Parts) -> None:
    rollout = played(parts)
    logits = parts.fast.model(torch.from_numpy(rollout.observations))
    actions = torch.from_numpy(rollout.actions)[..., None]
    without = logits.log_softmax(-1).gather(-1, actions)[..., 0].numpy()
    assert abs(without - rollout.log_probs)[rollout.mask].max() > 1e-2


def test_decisions_are_exactly_where_the_gate_of_a_carried_history_opens(parts: Parts) -> None:
    rollout = played(parts)
    _, codes, stream = whole(parts, rollout)
    state, opened = parts.meta.start(len(rollout)), []
    for t in range(stream.shape[1]):
        opened.append(parts.meta.gate(stream[:, t], state) >= THRESHOLD)
        state = parts.meta.advance(stream[:, t], state, codes[:, t])
    expected = torch.stack(opened, 1).numpy() & rollout.mask
    assert (rollout.switches == expected).all()
    assert rollout.switches[:, 0].all()
    assert 0.02 < expected[:, 1:].sum() / rollout.mask[:, 1:].sum() < 0.98


def test_residuals_are_recorded_before_control(parts: Parts) -> None:
    rollout = played(parts)
    stream, decisions = whole(parts, rollout)[2], rollout.decisions
    assert decisions is not None
    expected = stream[decisions.rows, decisions.steps]
    torch.testing.assert_close(decisions.residuals, expected, atol=1e-4, rtol=1e-4)


def test_recorded_log_probs_are_those_of_the_sequence(parts: Parts) -> None:
    rollout, network = played(parts), parts.policy().network
    assert rollout.decisions is not None
    for part in rollout.decisions.chunks(5):
        log_probs, entropy = network.score(part)
        torch.testing.assert_close(
            log_probs[part.mask], part.log_probs[part.mask], atol=1e-4, rtol=1e-4
        )
        torch.testing.assert_close(entropy[0, 0], network.entropy())


def test_by_its_mean_it_takes_the_mean_code_of_each_decision(parts: Parts) -> None:
    policy = parts.policy()
    runner = RolloutRunner(parts.fast, parts.world.horizon, policy.by_mean())
    rollout = runner.play(parts.world.vector_env(16), seed=3)
    assert rollout.decisions is not None and rollout.switches[:, 1:].any()
    for part in rollout.decisions.chunks(5):
        mean, _ = policy.network(part.residuals, policy.network.layer.initial(len(part.rows)))
        wanted = policy.network.codes(mean, torch.zeros_like(mean))
        torch.testing.assert_close(part.codes[part.mask], wanted[part.mask], atol=1e-4, rtol=1e-4)
    drawn = played(parts).decisions
    assert drawn is not None and not torch.allclose(drawn.codes[:16], rollout.decisions.codes[:16])


def test_a_held_code_is_the_same_bits(parts: Parts) -> None:
    policy, codes = parts.policy(), []
    decide = policy.decide
    policy.decide = lambda *args: codes.append(decide(*args)) or codes[-1]  # type: ignore[method-assign]
    stream = torch.randn(6, 20, 16)
    states = []
    for t in range(20):
        with starting_at(t):
            policy(stream[:, t : t + 1])
        states.append(policy._state.code)
    drawn = {tuple(row.tolist()) for pair in codes for row in pair[0]}
    assert {tuple(row.tolist()) for state in states for row in state} == drawn
    held = policy.record().held(6, 20)
    assert torch.equal(held, torch.stack(states, 1))
    assert len(drawn) < 6 * 20


def test_a_plain_forward_equals_steps(parts: Parts) -> None:
    stream, policy = torch.randn(5, 12, 16), parts.policy()
    policy.generator = torch.Generator().manual_seed(1)
    at_once = policy(stream)
    policy.generator = torch.Generator().manual_seed(1)
    steps = []
    for t in range(12):
        with starting_at(t):
            steps.append(policy(stream[:, t : t + 1]))
    assert torch.equal(torch.cat(steps, 1), at_once)


def test_rows_do_not_depend_on_the_others(parts: Parts) -> None:
    stream, policy = torch.randn(5, 12, 16), parts.policy()
    policy.generator = torch.Generator().manual_seed(1)
    at_once = policy(stream)
    policy.generator = torch.Generator().manual_seed(1)
    index, steps = torch.tensor([1, 4]), []
    for t in range(12):
        if t == 5:
            policy.keep(index)
        rows = index if t >= 5 else torch.arange(5)
        with starting_at(t):
            acted = policy(stream[rows, t : t + 1])
        steps.append(acted[-2 if t >= 5 else index.tolist()[0] :][:1])
    torch.testing.assert_close(torch.cat(steps, 1), at_once[1:2])


def test_it_is_a_hook_like_any_other(parts: Parts) -> None:
    observations = torch.from_numpy(played(parts).observations)
    hooked, policy = parts.fast.model.hooked, parts.policy()
    plain = hooked(observations)
    with policy.attached(hooked) as handle:
        steered = hooked(observations)
    assert handle.fired == {parts.meta.hook_name: 1}
    assert not torch.allclose(plain, steered)
    assert torch.equal(hooked(observations), plain)


def test_windows_that_do_not_follow_one_another_are_refused(parts: Parts) -> None:
    stream, policy = torch.randn(5, 12, 16), parts.policy()
    with starting_at(3), pytest.raises(ValueError, match=r"up to step 0 in 0 rows; .* at step 3"):
        policy(stream[:, 3:])
    policy(stream)
    with starting_at(11), pytest.raises(ValueError, match=r"step 12 in 5 rows; .* at step 11"):
        policy(stream[:, 11:])
    with starting_at(12), pytest.raises(ValueError, match="or is of another sequence"):
        policy(stream[:, :1])  # the one before was whole
    with starting_at(12), pytest.raises(ValueError, match=r"in 5 rows; .* and has 3"):
        policy(stream[:3, :1])
