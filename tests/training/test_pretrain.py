"""Pretraining: gradients, determinism, resumption, and that it learns."""

from copy import deepcopy
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from irl_lens.config.presets import preset
from irl_lens.envs.trajectories import Trajectories
from irl_lens.training.optimizers import PretrainOptimizer, learning_rate
from irl_lens.training.parallel import backward
from irl_lens.training.pretrain import PretrainJob, predictions

SMOKE = preset("smoke")
BY_STEP = ("observations", "actions", "policy", "mask", "subgoals", "visits", "progress")


def weights(job: PretrainJob) -> torch.Tensor:
    return torch.cat([w.flatten() for w in job.model.weights().values()])


def test_chunks_have_the_gradient_of_the_padded_batch():
    gradients = []
    for chunk in (4, 32):
        smoke = replace(SMOKE, pretrain=replace(SMOKE.pretrain, precision="float32", chunk=chunk))
        job = PretrainJob(smoke, 0)
        batch = job.stream[0]
        tokens = int(batch.mask.sum())
        backward(
            job.model.parameters(), [partial(job.loss, c, tokens) for c in batch.chunks(chunk)]
        )
        found = [p.grad for p in job.model.parameters()]
        gradients.append(torch.cat([g.flatten() for g in found if g is not None]))
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(("precision", "near"), [("float32", 1e-6), ("bfloat16", 2**-8)])
def test_weights_fused_once_a_step_have_the_gradient_of_weights_fused_in_every_pass(
    precision, near
):
    smoke = replace(SMOKE, pretrain=replace(SMOKE.pretrain, precision=precision, chunk=8))
    job = PretrainJob(smoke, 0)
    batch = job.stream[0]
    losses = [partial(job.loss, c, int(batch.mask.sum())) for c in batch.chunks(8)]
    gradients, figures = [], []
    for take in (partial(backward, list(job.model.parameters())), job.backward):
        figures.append(take(losses))
        gradients.append({name: p.grad for name, p in job.model.named_parameters()})
    assert figures[0] == figures[1]
    for name, every in gradients[0].items():
        assert every is not None
        once, scale = gradients[1][name], every.abs().max()
        torch.testing.assert_close(once, every, atol=near * float(scale), rtol=0)


@pytest.mark.parametrize("take", ["fused once", "fused in every pass"])
def test_a_step_is_that_of_an_optimizer_that_is_not_fused(take: str) -> None:
    """Fused ones mistake entries where a gradient does not lie in memory as its weight does."""
    job = PretrainJob(replace(SMOKE, pretrain=replace(SMOKE.pretrain, optimizer="adamw")), 0)
    batch, plain = job.stream[0], deepcopy(job.model)
    losses = [partial(job.loss, c, int(batch.mask.sum())) for c in batch.chunks(16)]
    parameters = list(job.model.parameters())
    job.backward(losses) if take == "fused once" else backward(parameters, losses)
    for other, parameter in zip(plain.parameters(), parameters, strict=True):
        other.grad = None if parameter.grad is None else parameter.grad.contiguous()
    torch.optim.AdamW(
        plain.parameters(),
        lr=1e-2,
        betas=job.config.betas,
        weight_decay=job.config.weight_decay,
        fused=False,
    ).step()
    job.optimizer.step(1e-2)
    for name, weight in plain.named_parameters():
        found = job.model.get_parameter(name)
        torch.testing.assert_close(found, weight, atol=1e-5, rtol=0, msg=name)


def test_an_error_in_a_pass_leaves_the_model_its_own_weights():
    job = PretrainJob(SMOKE, 0)

    def broken() -> tuple[torch.Tensor, dict[str, float]]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        job.backward([broken])
    batch = job.stream[0]
    before = predictions(job.model, job.fast, batch)[0]
    with torch.no_grad():
        job.model.hooked.blocks[0].mlp.W_in.mul_(2)
    assert not torch.equal(before, predictions(job.model, job.fast, batch)[0])


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
            for name in BY_STEP
        },
    )
    for plain, longer in zip(
        predictions(job.model, job.fast, batch),
        predictions(job.model, job.fast, padded),
        strict=True,
    ):
        torch.testing.assert_close(plain, longer)


def test_the_number_of_threads_changes_no_bit():
    before, results = torch.get_num_threads(), []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        job = PretrainJob(SMOKE, 0)
        for i in range(2):
            job.step(i)
        assert torch.get_num_threads() == threads
        results.append(weights(job))
    torch.set_num_threads(before)
    assert torch.equal(*results)


def test_the_experts_probabilities_have_the_gradient_of_its_actions_on_average():
    job = PretrainJob(replace(SMOKE, pretrain=replace(SMOKE.pretrain, precision="float32")), 0)
    batch = job.stream[0]
    tokens, rng = int(batch.mask.sum()), np.random.default_rng(0)

    def gradient(targets: str, trajectories: Trajectories) -> torch.Tensor:
        job.config = replace(job.config, targets=targets)
        loss, _ = job.loss(trajectories, tokens)
        return torch.autograd.grad(loss, job.model.hooked.unembed.b_U)[0]

    assert batch.policy is not None
    draws = []
    for _ in range(200):
        uniform = rng.random((*batch.mask.shape, 1))
        actions = (uniform >= batch.policy.cumsum(-1)[..., :-1]).sum(-1)
        draws.append(gradient("actions", replace(batch, actions=actions)))
    spread = torch.stack(draws).std(0) / len(draws) ** 0.5
    difference = torch.stack(draws).mean(0) - gradient("policy", batch)
    assert (difference.abs() < 5 * spread + 1e-7).all()


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
    assert job.floor is not None and job.floor < figures[-1]["nll"]


def test_muon_steps_block_matrices_and_adamw_the_rest():
    job = PretrainJob(SMOKE, 0)
    optimizer = PretrainOptimizer(job.model, SMOKE.pretrain)
    assert len(optimizer._matrices) == 6 * SMOKE.base.n_layers
    before = job.model.weights()
    before = {name: w.clone() for name, w in before.items()}
    batch = job.stream[0]
    backward(job.model.parameters(), [partial(job.loss, batch, int(batch.mask.sum()))])
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
