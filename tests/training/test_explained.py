"""Steps that a code need not explain."""

from __future__ import annotations

import math

import pytest
import torch

from irl_lens.envs.protocol import World
from irl_lens.models.fast import FastPath
from irl_lens.training.batches import Batch, WholeBatch
from irl_lens.training.explained import Explained

SHARE = 0.8


def test_a_step_costs_the_mixtures_density_and_is_bounded() -> None:
    without, mask = torch.randn(3, 4, dtype=torch.float64), torch.rand(3, 4) < 0.7
    mask[:, 0] = True
    nll = 5 * torch.randn(int(mask[1:].sum()), dtype=torch.float64)
    found = Explained(SHARE, without).bounded(nll, (1, 3, 4), mask[1:])
    free = without[1:][mask[1:]]
    mixture = SHARE * torch.exp(-nll) + (1 - SHARE) * torch.exp(-free)
    torch.testing.assert_close(found, -mixture.log())
    assert (found <= free - math.log(1 - SHARE)).all()
    assert (found <= nll - math.log(SHARE)).all()


def test_a_code_that_is_wrong_is_not_moved_and_one_that_is_right_is() -> None:
    nll = torch.tensor([30.0, -30.0], requires_grad=True)
    found = Explained(SHARE, torch.zeros(1, 2)).bounded(nll, (0, 1, 2), torch.ones(1, 2).bool())
    found.sum().backward()
    torch.testing.assert_close(nll.grad, torch.tensor([0.0, 1.0]))


@pytest.mark.parametrize("kind", [Batch, WholeBatch])
def test_a_batch_costs_what_its_steps_do(kind: type[Batch], world: World, base: FastPath) -> None:
    batch = kind.of(world.demonstrate(9, 1), chunk=4)
    stream = batch.residuals(base, (1,))[1].detach()
    without = batch.step_nll(base, stream, 1)
    controlled = batch.add(stream, torch.randn(len(batch.valid), stream.shape[-1]))
    explained = Explained(SHARE, without)
    each = explained.bounded(
        batch.step_nll(base, controlled, 1)[batch.mask],
        (0, len(batch.mask), batch.mask.shape[1]),
        batch.mask,
    )
    found = batch.nll(base, controlled, 1, explained=explained)
    torch.testing.assert_close(found, each.mean())
    assert not torch.isclose(found, batch.nll(base, controlled, 1))
