"""Codes of segments: what trains what, the stage, what acts afterwards."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from irl_lens.config.schema import CodesConfig, Preset
from irl_lens.envs.protocol import World
from irl_lens.errors import UserError
from irl_lens.files.tensors import CheckpointError
from irl_lens.hooks import LinearDecoder
from irl_lens.models.causal import MetaCodes
from irl_lens.models.fast import FastPath
from irl_lens.models.metacontroller import Metacontroller
from irl_lens.models.segments import SegmentMetacontroller
from irl_lens.progress import QuietProgress
from irl_lens.runs.run import Run
from irl_lens.training.batches import Batch
from irl_lens.training.codes import CodesJob, learn_codes
from irl_lens.training.discovery import discover
from irl_lens.training.segment_starts import DiscoveredSwitches

CODES = CodesConfig(steps=4, layer=1, history=5, hidden=8, latent=3, batch=12)


class Knowing(Metacontroller):
    """Switches where it is told; stands for a metacontroller that has found something."""

    opened: torch.Tensor | None = None

    def forward(self, stream, mask, noise=None) -> MetaCodes:
        codes = super().forward(stream, mask, noise)
        return codes if self.opened is None else replace(codes, beta=self.opened.to(codes.beta))


def switches(meta: Metacontroller) -> DiscoveredSwitches:
    return DiscoveredSwitches(meta, threshold=0.5)


def knowing(job: CodesJob) -> Knowing:
    assert isinstance(job.switches, DiscoveredSwitches)
    assert isinstance(job.switches.meta, Knowing)
    return job.switches.meta


@pytest.fixture
def job(small: Preset, world: World, base: FastPath) -> CodesJob:
    torch.manual_seed(0)
    return CodesJob(CODES, world, base, switches(Knowing(small.discovery, base.model.d_model)), 0)


@pytest.fixture
def batch(job: CodesJob, world: World) -> Batch:
    batch = Batch.of(world.demonstrate(12, 5), chunk=5)
    decoder = job.meta.decoder
    assert isinstance(decoder, LinearDecoder)
    knowing(job).opened = torch.from_numpy(batch.trajectories.boundaries())
    # The decoder starts at zero, where no gradient reaches the encoder yet.
    torch.nn.init.normal_(decoder.matrices, std=0.1)
    return batch


def test_codes_need_not_explain_what_they_are_not_to(job: CodesJob, batch: Batch) -> None:
    whole = job.terms(batch, 0)
    job.config = replace(CODES, explained=0.8)
    some = job.terms(batch, 0)
    stream = batch.residuals(job.base, (job.meta.layer,))[job.meta.layer]
    without = batch.nll(job.base, stream, job.meta.layer, "policy")
    assert some.nll <= without - math.log(0.2)
    assert some.nll <= whole.nll - math.log(0.8)
    assert (some.kl, some.gate) == (whole.kl, whole.gate)


def test_the_gate_learns_the_switches_alone_and_the_rest_all_but_them(
    job: CodesJob, batch: Batch
) -> None:
    terms = job.terms(batch, 0)
    gate = {f"switch.{name}" for name, _ in job.meta.switch.named_parameters()}
    gate |= {f"history.{name}" for name, _ in job.meta.history.named_parameters()}
    named = dict(job.meta.named_parameters())
    for term, moved in ((terms.gate, gate), (terms.nll + terms.kl, named.keys() - gate)):
        gradients = torch.autograd.grad(
            term, tuple(named.values()), retain_graph=True, allow_unused=True
        )
        found = {n for n, g in zip(named, gradients, strict=True) if g is not None and g.any()}
        assert found == moved


def test_segments_are_those_of_the_first_metacontroller(job: CodesJob, batch: Batch) -> None:
    one = job.terms(batch, 0)
    knowing(job).opened = torch.zeros_like(batch.mask)
    assert job.terms(batch, 0).nll != one.nll


def test_the_gate_comes_to_agree(job: CodesJob, batch: Batch) -> None:
    before = float(job.terms(batch, 0).gate.detach())
    for i in range(150):
        terms = job.terms(batch, i)
        job.optimizer.step(terms.gate, 0.0)
    assert float(terms.gate.detach()) < before / 3
    assert 2 * terms.both / terms.either > 0.9


def test_it_opens_where_it_agrees_best(job: CodesJob) -> None:
    class Own:
        """Switches that are its own from one level on, and rest as it does."""

        layer, threshold = 1, 0.3

        def marks(self, batch: Batch, streams: dict[int, torch.Tensor]) -> torch.Tensor:
            return torch.sigmoid(job.meta.switch_logits(streams[1])) >= self.threshold

    torch.nn.init.normal_(next(job.meta.switch.parameters()), std=3.0)
    job.switches = Own()
    assert job.level() == 0.3
    job.switches.threshold = 0.65
    assert job.level() == 0.65


def test_of_levels_that_agree_as_well_it_takes_the_middle_one(job: CodesJob) -> None:
    job.switches.threshold = 2.0  # which no gate reaches
    assert job.level() == 0.5


def test_where_neither_switches_there_is_no_agreement(job: CodesJob) -> None:
    assert "agreement" in job.step(0)
    job.switches.threshold = 2.0  # which no gate reaches
    with torch.no_grad():
        list(job.meta.switch.parameters())[-1].fill_(-100)  # the bias of its logit
    assert "agreement" not in job.step(1)


def test_a_restored_job_continues_to_the_bit(small: Preset, world: World, base: FastPath) -> None:
    discovered = Metacontroller(small.discovery, base.model.d_model)
    job, resumed = (CodesJob(CODES, world, base, switches(discovered), 0) for _ in range(2))
    job.step(0)
    resumed.load({name: tensor.clone() for name, tensor in job.state().items()})
    assert [job.step(i) for i in (1, 2)] == [resumed.step(i) for i in (1, 2)]
    pairs = zip(job.meta.state_dict().values(), resumed.meta.state_dict().values(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


def test_the_stage_leaves_what_acts(
    small: Preset, base: FastPath, tmp_path: Path, quiet: QuietProgress
) -> None:
    run = Run.create(tmp_path / "run", replace(small, codes=CODES), seed=0)
    run.stage("base").finish(base.model.weights(), {})
    with pytest.raises(CheckpointError, match="metacontroller"):
        learn_codes(run, quiet)
    discover(run, quiet)
    with pytest.raises(CheckpointError, match="codes"):
        _ = run.metacontroller
    learn_codes(run, quiet)
    stage = run.stage("codes")
    assert {"nll", "nll_without", "kl", "f1", "level"} <= stage.result.keys()
    assert {"nll", "kl", "gate", "agreement", "alpha"} <= stage.metrics()[-1].keys()
    meta = run.metacontroller
    assert isinstance(meta, SegmentMetacontroller) and meta.layer == 1
    assert not any(p.requires_grad for p in meta.parameters())


def test_without_steps_the_metacontroller_keeps_its_codes(
    small: Preset, base: FastPath, tmp_path: Path, quiet: QuietProgress
) -> None:
    run = Run.create(tmp_path / "run", replace(small, codes=CodesConfig()), seed=0)
    run.stage("base").finish(base.model.weights(), {})
    discover(run, quiet)
    with pytest.raises(UserError, match=r"codes\.steps is 0"):
        learn_codes(run, quiet)
    assert isinstance(run.metacontroller, Metacontroller)
