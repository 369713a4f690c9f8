"""Discovery with the base trained too, and the base that acts from then on."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from irl_lens.analyses.report.headline_results import LoadedRun
from irl_lens.config.schema import Preset
from irl_lens.envs.protocol import World
from irl_lens.files.tensors import join_parts
from irl_lens.models.base import hook_name
from irl_lens.models.fast import FastPath
from irl_lens.progress import QuietProgress
from irl_lens.runs.run import Run
from irl_lens.training.batches import Batch, WholeBatch
from irl_lens.training.discovery import DiscoveryJob, discover, evaluate, noise_of


def fresh(base: FastPath) -> FastPath:
    """A base of one's own to train."""
    return FastPath(deepcopy(base.model))


@pytest.fixture
def cotrained(small: Preset, world: World, base: FastPath) -> DiscoveryJob:
    return DiscoveryJob(replace(small.discovery, base_lr=1e-2), world, fresh(base), seed=0)


def test_the_loss_is_that_of_a_frozen_base(
    cotrained: DiscoveryJob, small: Preset, world: World, base: FastPath
) -> None:
    frozen = DiscoveryJob(small.discovery, world, base, seed=0)
    one, other = (job.step(0) for job in (cotrained, frozen))
    assert one == pytest.approx(other, rel=1e-5)


def test_gradients_of_the_base_are_those_through_transformer_lens(
    cotrained: DiscoveryJob, world: World
) -> None:
    batch, job = WholeBatch.of(world.demonstrate(6, 5)), cotrained
    noise, model = noise_of(0, "test", 0, batch, job.config.latent), job.base.model
    terms = evaluate(job.meta, job.base, batch, noise)
    parameters = [p for n, p in model.named_parameters() if not n.startswith("next_obs")]
    ours = torch.autograd.grad(terms.nll + terms.kl, parameters)

    layer = job.config.layer
    stream = model.hooked(batch.observations, stop_at_layer=layer)
    codes = job.meta(stream, batch.mask, noise)
    delta = job.meta.decoder.delta(codes.codes.flatten(0, 1), stream.flatten(0, 1))

    def controlled(e: torch.Tensor, hook: object) -> torch.Tensor:
        return e + delta.view_as(e)

    logits = model.hooked.run_with_hooks(
        batch.observations, fwd_hooks=[(hook_name(layer), controlled)]
    )
    nll = torch.nn.functional.cross_entropy(logits[batch.mask], batch.actions[batch.mask])
    theirs = torch.autograd.grad(nll + codes.kl()[batch.mask].mean(), parameters)
    torch.testing.assert_close(terms.nll, nll)
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-6)


def test_every_part_of_the_base_learns_but_what_the_loss_does_not_read(
    cotrained: DiscoveryJob,
) -> None:
    model = cotrained.base.model
    before = {name: p.clone() for name, p in model.weights().items()}
    nll = cotrained.measure(12)["nll_without"]
    cotrained.step(0)
    for name, weight in model.weights().items():
        # A key's bias moves all scores of a query alike: its gradient is 0 but for rounding.
        if not name.endswith("b_K"):
            assert torch.equal(before[name], weight) == name.startswith("next_observation"), name
    # The fast path does not go on with the weights it had.
    assert cotrained.measure(12)["nll_without"] != nll


def test_without_a_rate_the_base_stays_and_nothing_is_said_of_it(
    small: Preset, world: World, base: FastPath
) -> None:
    job = DiscoveryJob(small.discovery, world, base, seed=0)
    before = base.model.hash()
    job.step(0)
    assert base.model.hash() == before
    assert not any(p.requires_grad for p in base.model.parameters())
    assert job.weights().keys() == job.meta.state_dict().keys()
    assert not [name for name in job.state() if name.startswith("base/")]
    assert type(job.batches.of(world.demonstrate(2, 0))) is Batch


def test_a_restored_job_continues_to_the_bit(
    cotrained: DiscoveryJob, world: World, base: FastPath
) -> None:
    cotrained.step(0)
    saved = {name: tensor.clone() for name, tensor in cotrained.state().items()}
    resumed = DiscoveryJob(cotrained.config, world, fresh(base), seed=0)
    resumed.load(saved)
    for i in (1, 2):
        assert cotrained.step(i) == resumed.step(i)
    assert resumed.base.model.hash() == cotrained.base.model.hash()


def test_cotraining_goes_lower_than_a_frozen_base(
    cotrained: DiscoveryJob, small: Preset, world: World, base: FastPath
) -> None:
    frozen = DiscoveryJob(small.discovery, world, base, seed=0)
    for i in range(30):
        cotrained.step(i)
        frozen.step(i)
    # An untrained base is in the way; trained along it is not.
    assert cotrained.measure(24)["nll"] < frozen.measure(24)["nll"] - 0.02


def test_whoever_loads_the_metacontroller_gets_the_base_that_goes_with_it(
    small: Preset, base: FastPath, tmp_path: Path, quiet: QuietProgress
) -> None:
    chosen = replace(small, discovery=replace(small.discovery, base_lr=1e-2))
    run = Run.create(tmp_path / "run", chosen, seed=0)
    run.stage("base").finish(base.model.weights(), {})
    assert run.base.hash() == base.model.hash()  # nothing else is there yet
    discover(run, quiet)
    acting, pretrained = run.base, run.pretrained
    assert pretrained.hash() == base.model.hash() != acting.hash()
    assert not any(p.requires_grad for p in acting.parameters())
    kept = run.stage("metacontroller").weights()
    loaded = join_parts(meta=run.discovered.state_dict(), base=acting.weights())
    assert kept.keys() == loaded.keys()
    assert all(torch.equal(kept[name], loaded[name]) for name in kept)
    bench = LoadedRun(run)
    assert bench.base.model.hash() == acting.hash()
    assert bench.pretrained.base.model.hash() == base.model.hash()


def test_with_a_frozen_base_there_is_but_one(run: Run, base: FastPath) -> None:
    discover(run, QuietProgress())
    bench = LoadedRun(run)
    assert bench.pretrained is bench
    assert bench.base.model.hash() == run.pretrained.hash() == base.model.hash()
