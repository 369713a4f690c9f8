from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from irl_lens.envs.protocol import World
from irl_lens.models.fast import FastPath
from irl_lens.training.batches import Batch


def test_rows_come_longest_first_and_keep_their_steps(world: World) -> None:
    batch = Batch.of(world.demonstrate(20, 0), chunk=6)
    lengths = batch.mask.sum(1)
    assert (lengths.diff() <= 0).all()
    assert [piece[:2] for piece in batch.pieces] == [(0, 6), (6, 12), (12, 18), (18, 20)]
    assert all(steps == lengths[first:end].max() for first, end, steps in batch.pieces)
    assert np.array_equal(batch.actions.numpy(), batch.trajectories.actions)


def test_pieces_give_the_loss_and_the_gradient_of_the_padded_batch(
    world: World, base: FastPath
) -> None:
    batch = Batch.of(world.demonstrate(20, 1), chunk=6)
    padded = base.residual(batch.observations, 2)
    stream = batch.residuals(base, (1, 2))[2].requires_grad_()
    torch.testing.assert_close(stream[batch.mask], padded[batch.mask])
    whole = padded.clone().requires_grad_()
    logits = base.logits(resid=whole, start=2)[batch.mask]
    expected = F.cross_entropy(logits, batch.actions[batch.mask])
    loss = batch.nll(base, stream, 2)
    torch.testing.assert_close(loss, expected)
    gradients = torch.autograd.grad(loss, stream)[0], torch.autograd.grad(expected, whole)[0]
    torch.testing.assert_close(*gradients)


def test_the_policys_loss_is_the_mean_of_the_actions_losses(world: World, base: FastPath) -> None:
    batch = Batch.of(world.demonstrate(6, 3))
    stream = batch.residuals(base, (2,))[2]
    logits = base.logits(resid=stream, start=2)[batch.mask].log_softmax(-1)
    assert batch.policy is not None
    expected = -(batch.policy[batch.mask] * logits).sum(-1).mean()
    torch.testing.assert_close(batch.nll(base, stream, 2, "policy"), expected)
    drawn = batch.policy[batch.mask].gather(1, batch.actions[batch.mask][:, None])
    assert (drawn > 0).all()


def test_control_is_added_at_valid_steps_only(world: World) -> None:
    batch = Batch.of(world.demonstrate(7, 2))
    stream = torch.randn(*batch.mask.shape, 4)
    added = batch.add(stream, torch.ones(int(batch.mask.sum()), 4))
    torch.testing.assert_close(added, stream + batch.mask.unsqueeze(-1))
