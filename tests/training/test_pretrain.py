"""Pretraining: gradients, determinism, resumption, and that it learns."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from irl_lens.presets import preset
from irl_lens.training.optimizers import PretrainOptimizer, learning_rate
from irl_lens.training.pretrain import PretrainJob, base_losses

SMOKE = preset("smoke")


def weights(job: PretrainJob) -> torch.Tensor:
    return torch.cat([w.flatten() for w in job.model.weights().values()])


def test_chunks_have_the_gradient_of_the_padded_batch():
    gradients = []
    for chunk in (4, 32):
        smoke = replace(SMOKE, pretrain=replace(SMOKE.pretrain, precision="float32", chunk=chunk))
        job = PretrainJob(smoke, 0)
        batch = job.stream[0]
        for piece in batch.chunks(chunk):
            job._backward(piece, int(batch.mask.sum()))
        found = [p.grad for p in job.model.parameters()]
        gradients.append(torch.cat([g.flatten() for g in found if g is not None]))
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-6, rtol=1e-4)


def test_padding_does_not_matter():
    job = PretrainJob(SMOKE, 0)
    batch = job.stream[0]
    padded = replace(
        batch,
        **{
            name: np.pad(
                getattr(batch, name),
                [(0, 0), (0, 5)] + [(0, 0)] * (getattr(batch, name).ndim - 2),
                constant_values=-1 if name in ("subgoals", "visits") else 0,
            )
            for name in ("observations", "actions", "mask", "subgoals", "visits", "progress")
        },
    )
    for plain, longer in zip(
        base_losses(job.model, job.fast, batch),
        base_losses(job.model, job.fast, padded),
        strict=True,
    ):
        torch.testing.assert_close(plain, longer)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_resuming_changes_no_bit(optimizer):
    smoke = replace(SMOKE, pretrain=replace(SMOKE.pretrain, optimizer=optimizer))
    whole, first, second = (PretrainJob(smoke, 3) for _ in range(3))
    for i in range(4):
        whole.step(i)
    for i in range(2):
        first.step(i)
    second.load(first.state())
    for i in (2, 3):
        second.step(i)
    assert torch.equal(weights(whole), weights(second))


def test_seeds_differ():
    assert not torch.equal(weights(PretrainJob(SMOKE, 0)), weights(PretrainJob(SMOKE, 1)))


def test_it_learns():
    job = PretrainJob(SMOKE, 0)
    figures = [job.step(i) for i in range(30)]
    assert figures[-1]["nll"] < figures[0]["nll"] - 0.2
    assert job.floor < figures[-1]["nll"]


def test_muon_steps_block_matrices_and_adamw_the_rest():
    job = PretrainJob(SMOKE, 0)
    optimizer = PretrainOptimizer(job.model, SMOKE.pretrain)
    assert len(optimizer._matrices) == 6 * SMOKE.base.n_layers
    before = job.model.weights()
    before = {name: w.clone() for name, w in before.items()}
    batch = job.stream[0]
    job._backward(batch, int(batch.mask.sum()))
    optimizer.step(1e-2)
    for name, weight in job.model.weights().items():
        # The first step's query and key biases may have no gradient to speak of.
        assert not torch.equal(weight, before[name]) or name.endswith(("b_K", "b_Q")), name


def test_learning_rate_warms_up_and_decays():
    config = replace(SMOKE.pretrain, lr=1.0, warmup=3, steps=100, schedule="cosine")
    rates = [learning_rate(config, i) for i in range(100)]
    assert rates[0] == pytest.approx(0.25)
    assert max(rates) <= 1.0
    assert rates[-1] < 1e-3
    assert learning_rate(replace(config, schedule="constant"), 99) == 1.0
