from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from irl_lens.config.schema import Preset
from irl_lens.envs.protocol import World
from irl_lens.files.tensors import CheckpointError
from irl_lens.models.fast import FastPath
from irl_lens.models.trace import encode
from irl_lens.progress import QuietProgress
from irl_lens.runs.run import Run
from irl_lens.training.batches import Batch
from irl_lens.training.discovery import (
    DiscoveryJob,
    discover,
    evaluate,
    kl_weight,
)


@pytest.fixture
def job(small: Preset, world: World, base: FastPath) -> DiscoveryJob:
    return DiscoveryJob(small.discovery, world, base, seed=0)


@pytest.fixture(scope="module")
def batch(world: World) -> Batch:
    return Batch.of(world.demonstrate(12, 5), chunk=5)


def _noise(job: DiscoveryJob, batch: Batch) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(*batch.mask.shape, job.config.latent, generator=generator)


def test_alpha_is_interpolated_in_its_logarithm_and_flat_outside() -> None:
    knots = ((0.2, 1e-3), (0.6, 1e-1))
    values = [kl_weight(knots, fraction) for fraction in (0.0, 0.2, 0.4, 0.6, 1.0)]
    assert values == pytest.approx([1e-3, 1e-3, 1e-2, 1e-1, 1e-1])
    assert kl_weight(((0.0, 0.17),), 0.7) == 0.17
    assert kl_weight(((0.0, 0.0),), 0.7) == 0.0


def test_a_zero_among_alpha_knots_is_an_error() -> None:
    with pytest.raises(ValueError, match="positive alphas"):
        kl_weight(((0.0, 0.0), (1.0, 0.1)), 0.5)


def test_the_terms_are_means_over_valid_steps(
    job: DiscoveryJob, base: FastPath, batch: Batch
) -> None:
    noise = _noise(job, batch)
    terms = evaluate(job.meta, base, batch, noise)
    stream = base.residual(batch.observations, job.config.layer)
    codes = job.meta(stream, batch.mask, noise)
    A, B = job.meta.decoder(codes.codes)
    controlled = stream + ((A @ stream.unsqueeze(-1)).mT @ B).squeeze(-2)
    logprobs = base.logits(resid=controlled, start=job.config.layer).log_softmax(-1)
    chosen = logprobs.gather(-1, batch.actions.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(terms.nll, -chosen[batch.mask].mean())
    torch.testing.assert_close(terms.kl, codes.kl()[batch.mask].mean())
    assert terms.tokens == int(batch.mask.sum())


def test_every_part_learns_and_is_in_the_optimiser(job: DiscoveryJob, batch: Batch) -> None:
    terms = evaluate(job.meta, job.base, batch, _noise(job, batch))
    (terms.nll + 0.1 * terms.kl).backward()
    trained = {id(p) for group in job.optimizer.adamw.param_groups for p in group["params"]}
    for name, parameter in job.meta.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name
        assert id(parameter) in trained, name


@pytest.mark.parametrize("given, used", [(None, 1e-2), (3e-4, 3e-4)])
def test_the_decoder_learns_as_the_rest_does_unless_said(
    small: Preset, world: World, base: FastPath, given: float | None, used: float
) -> None:
    job = DiscoveryJob(replace(small.discovery, decoder_lr=given), world, base, seed=0)
    job.step(0)
    assert [group["lr"] for group in job.optimizer.adamw.param_groups] == [1e-2, used]


def test_the_gate_is_moved_by_the_action_loss_alone(job: DiscoveryJob, batch: Batch) -> None:
    terms = evaluate(job.meta, job.base, batch, _noise(job, batch))
    gate = tuple(job.meta.switch.parameters())
    by_kl = torch.autograd.grad(terms.kl, gate, retain_graph=True, allow_unused=True)
    assert all(gradient is None for gradient in by_kl)
    assert all(g.abs().max() > 0 for g in torch.autograd.grad(terms.nll, gate))


def test_a_gate_opened_where_the_proposal_helps_lowers_the_loss(
    job: DiscoveryJob, batch: Batch
) -> None:
    # The gate must not be inverted: a step against its gradient lowers the NLL.
    noise = _noise(job, batch)
    terms = evaluate(job.meta, job.base, batch, noise)
    gate = tuple(job.meta.switch.parameters())
    gradients = torch.autograd.grad(terms.nll, gate)
    norm = sum(float(g.square().sum()) for g in gradients)
    with torch.no_grad():
        for parameter, gradient in zip(gate, gradients, strict=True):
            parameter -= 1e-2 / norm**0.5 * gradient
        assert evaluate(job.meta, job.base, batch, noise).nll < terms.nll.detach()


def test_the_base_stays_frozen(job: DiscoveryJob) -> None:
    before = job.base.model.hash()
    job.step(0)
    assert job.base.model.hash() == before
    assert all(p.grad is None for p in job.base.model.parameters())


def test_padding_changes_no_loss_and_no_gradient(job: DiscoveryJob, batch: Batch) -> None:
    rows = batch.trajectories.rows(np.arange(6, 12))
    cut = Batch.of(rows)
    wide = rows.mask.shape[1] + 4

    def padded(array: np.ndarray, value: int | np.ndarray) -> np.ndarray:
        full = np.full((len(array), wide, *array.shape[2:]), value, array.dtype)
        full[:, : array.shape[1]] = array
        return full

    names = ("observations", "actions", "policy", "mask", "subgoals", "visits", "progress")
    for name in names:  # nonsense on the padding: other observations, another action
        nonsense = rows.observations[0, 0] if name == "observations" else int(name != "mask")
        object.__setattr__(rows, name, padded(getattr(rows, name), nonsense))
    long = Batch(
        rows,
        torch.from_numpy(rows.observations),
        torch.from_numpy(rows.actions),
        torch.from_numpy(rows.policy),
        torch.from_numpy(rows.mask),
        ((0, 6, wide),),
        cut.own,
        (6, wide),
        cut.tokens,
    )
    noise = torch.randn(6, wide, job.config.latent)
    results = []
    for candidate in (cut, long):
        terms = evaluate(job.meta, job.base, candidate, noise[:, : candidate.mask.shape[1]])
        gradients = torch.autograd.grad(terms.nll + terms.kl, tuple(job.meta.parameters()))
        results.append((terms.nll, terms.kl, *gradients))
        assert (
            terms.switches
            == evaluate(job.meta, job.base, cut, noise[:, : cut.mask.shape[1]]).switches
        )
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_episodes_without_a_switch_have_a_finite_loss(job: DiscoveryJob, batch: Batch) -> None:
    with torch.no_grad():
        job.meta.switch.out.bias.fill_(-50.0)
    terms = evaluate(job.meta, job.base, batch, _noise(job, batch))
    (terms.nll + terms.kl).backward()
    assert terms.switches is not None and terms.switches.fired == 0
    assert terms.nll.isfinite() and terms.kl.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in job.meta.parameters())


def test_a_step_is_a_function_of_seed_and_index(
    small: Preset, world: World, base: FastPath, job: DiscoveryJob
) -> None:
    other = DiscoveryJob(small.discovery, world, base, seed=0)
    torch.manual_seed(99)  # the global generator has no say
    assert job.step(1) == other.step(1)
    assert all(torch.equal(a, b) for a, b in zip(*map(_weights, (job, other)), strict=True))
    assert DiscoveryJob(small.discovery, world, base, seed=1).step(1) != other.step(1)


def _weights(job: DiscoveryJob) -> list[torch.Tensor]:
    return list(job.meta.state_dict().values())


def test_a_restored_job_continues_to_the_bit(
    small: Preset, world: World, base: FastPath, job: DiscoveryJob
) -> None:
    job.step(0)
    saved = {name: tensor.clone() for name, tensor in job.state().items()}
    resumed = DiscoveryJob(small.discovery, world, base, seed=0)
    resumed.load(saved)
    for i in (1, 2):
        assert job.step(i) == resumed.step(i)
    assert all(torch.equal(a, b) for a, b in zip(*map(_weights, (job, resumed)), strict=True))


def test_training_lowers_the_action_loss(job: DiscoveryJob) -> None:
    before = job.measure(24)
    for i in range(40):
        job.step(i)
    assert before["nll_without"] == job.measure(24)["nll_without"]
    assert job.measure(24)["nll"] < before["nll"] - 0.02


def test_bfloat16_agrees_roughly(job: DiscoveryJob, base: FastPath, batch: Batch) -> None:
    half = FastPath(base.model, "bfloat16")
    noise = _noise(job, batch)
    exact, rough = (evaluate(job.meta, path, batch, noise) for path in (base, half))
    torch.testing.assert_close(rough.nll, exact.nll, rtol=2e-2, atol=2e-2)
    rough.nll.backward()
    assert all(p.dtype == torch.float32 for p in job.meta.parameters())


def test_the_stage_leaves_a_metacontroller_and_its_scores(run: Run, quiet: QuietProgress) -> None:
    discover(run, quiet)
    stage = run.stage("metacontroller")
    assert {"nll", "nll_without", "kl", "switch_rate", "precision", "recall", "f1"} == set(
        stage.result
    )
    assert {"nll", "kl", "alpha", "f1"} <= set(stage.metrics()[-1])
    meta = run.discovered
    assert not any(p.requires_grad for p in meta.parameters())
    assert all(torch.equal(meta.state_dict()[n], w) for n, w in stage.weights().items())
    discover(run, quiet)  # done: nothing to do


def test_without_a_base_the_stage_says_so(run: Run, quiet: QuietProgress) -> None:
    (run.stage("base").folder / "result.json").unlink()
    with pytest.raises(CheckpointError, match="base"):
        discover(run, quiet)


def test_a_trace_is_what_the_metacontroller_does(
    job: DiscoveryJob, world: World, base: FastPath
) -> None:
    demonstrations = world.demonstrate(7, 9)
    trace = encode(job.meta, base, demonstrations, chunk=3)
    stream = base.residual(torch.from_numpy(demonstrations.observations), job.config.layer)
    codes = job.meta(stream, torch.from_numpy(demonstrations.mask))
    mask = demonstrations.mask
    np.testing.assert_allclose(trace.z[mask], codes.codes.detach().numpy()[mask], atol=1e-5)
    np.testing.assert_allclose(trace.kl()[mask], codes.kl().detach().numpy()[mask], atol=1e-4)
    assert (trace.z[~mask] == 0).all() and (trace.beta[~mask] == 0).all()
    assert trace.switches[:, 0].all() and not trace.switches[~mask].any()
    sampled = encode(job.meta, base, demonstrations, seed=4)
    assert not np.array_equal(sampled.z, trace.z)
    assert np.array_equal(sampled.z, encode(job.meta, base, demonstrations, seed=4).z)
