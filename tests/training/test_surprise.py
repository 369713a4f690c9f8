"""Switches found by what surprises the base: peaks, the gate that expects them, the stage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from irl_lens.config.schema import CodesConfig, Preset, SwitchesConfig
from irl_lens.config.validation import check_preset
from irl_lens.envs.protocol import World
from irl_lens.errors import UserError
from irl_lens.files.tensors import CheckpointError
from irl_lens.models.fast import FastPath
from irl_lens.models.segments import SegmentMetacontroller
from irl_lens.progress import QuietProgress
from irl_lens.runs.run import Run
from irl_lens.training.batches import Batch
from irl_lens.training.codes import learn_codes
from irl_lens.training.discovery import discover
from irl_lens.training.segment_starts import ExpectedSwitches
from irl_lens.training.surprise import SurpriseJob, learn_switches
from irl_lens.training.switches import peaks

SWITCHES = SwitchesConfig(steps=4, history=5, hidden=8, batch=12, chunk=5, share=0.2, reach=2)
CODES = CodesConfig(steps=4, layer=1, history=5, hidden=8, latent=3, batch=12)


@pytest.fixture
def job(world: World, base: FastPath) -> SurpriseJob:
    return SurpriseJob(SWITCHES, world, base, seed=0)


@pytest.fixture
def batch(world: World) -> Batch:
    return Batch.of(world.demonstrate(12, 5), chunk=5)


@given(
    arrays(np.float64, (3, 9), elements=st.integers(0, 4).map(float)),
    st.lists(st.integers(0, 9), min_size=3, max_size=3),
    st.integers(1, 4),
    st.integers(0, 4),
)
def test_a_peak_is_the_largest_of_those_around(
    values: np.ndarray, lengths: list[int], reach: int, least: int
) -> None:
    mask = np.arange(9) < np.array(lengths)[:, None]
    found = peaks(values, mask, reach, least)
    for row, length in enumerate(lengths):
        for t in range(9):
            around = values[row, max(1, t - reach) : min(length, t + reach + 1)]
            peak = least <= values[row, t] == around.max() if 0 < t < length else t < length
            assert found[row, t] == peak


@pytest.mark.parametrize("targets", ["actions", "policy"])
def test_surprise_of_steps_adds_up_to_the_loss(batch: Batch, base: FastPath, targets) -> None:
    stream = batch.residuals(base, (1,))[1]
    steps = batch.step_nll(base, stream, 1, targets)
    assert not steps[~batch.mask].any()
    torch.testing.assert_close(
        steps.sum() / batch.tokens, batch.nll(base, stream, 1, targets), rtol=1e-5, atol=1e-6
    )


def test_the_most_surprising_steps_are_to_be_expected(job: SurpriseJob, batch: Batch) -> None:
    stream = batch.residuals(job.base, (1,))[1]
    nll = batch.step_nll(job.base, stream, 1, job.config.targets)
    wanted = job.surprises(batch, stream)
    assert wanted[:, 0].all() and not wanted[~batch.mask].any()
    later = batch.mask.clone()
    later[:, 0] = False
    found = wanted & later
    assert found.any()
    assert nll[found].min() >= torch.quantile(nll[batch.mask], 1 - job.config.share)
    assert found.sum() <= job.config.share * batch.tokens


def test_the_gate_learns_what_to_expect_and_knows_nothing_of_the_future(
    job: SurpriseJob, batch: Batch
) -> None:
    before = float(job.loss(batch).detach())
    for _ in range(200):
        job.optimizer.zero_grad()
        job.loss(batch).backward()
        job.optimizer.step()
    assert float(job.loss(batch).detach()) < before / 2
    stream = batch.residuals(job.base, (1,))[1]
    with torch.no_grad():
        told = job.gate(stream)
        other = stream.clone()
        other[:, 4:] = torch.randn_like(other[:, 4:])
        torch.testing.assert_close(job.gate(other)[:, :4], told[:, :4])
        assert not torch.allclose(job.gate(other)[:, 4:], told[:, 4:])


def test_segments_begin_at_peaks_of_the_gate(job: SurpriseJob, batch: Batch) -> None:
    streams = batch.residuals(job.base, (1,))
    with torch.no_grad():
        expected = torch.sigmoid(job.gate(streams[1])).numpy()
    least = float(np.median(expected[batch.mask]))
    starts = ExpectedSwitches(job.gate, least, reach=2).marks(batch, streams).numpy()
    np.testing.assert_array_equal(starts, peaks(expected, batch.mask.numpy(), 2, least))
    assert starts[:, 0].all() and starts[:, 1:].any()


def test_a_restored_job_continues_to_the_bit(world: World, base: FastPath) -> None:
    job, resumed = (SurpriseJob(SWITCHES, world, base, seed=0) for _ in range(2))
    job.step(0)
    resumed.load({name: tensor.clone() for name, tensor in job.state().items()})
    assert [job.step(i) for i in (1, 2)] == [resumed.step(i) for i in (1, 2)]


def test_codes_are_learned_of_its_segments_without_a_metacontroller(
    small: Preset, base: FastPath, tmp_path: Path, quiet: QuietProgress
) -> None:
    preset = replace(small, switches=SWITCHES, codes=CODES)
    run = Run.create(tmp_path / "run", preset, seed=0)
    assert run.chain == ("base", "controllers", "switches", "codes", "internal-rl", "raw-rl")
    run.stage("base").finish(base.model.weights(), {})
    with pytest.raises(UserError, match=r"switches\.steps is 4.*--set switches\.steps=0"):
        discover(run, quiet)
    with pytest.raises(CheckpointError, match="switches"):
        learn_codes(run, quiet)
    learn_switches(run, quiet)
    found = run.stage("switches").result
    assert {"threshold", "switch_rate", "precision", "recall", "f1"} == found.keys()
    assert 0 < found["threshold"] < 1
    learn_codes(run, quiet)
    assert run.stage("codes").result["threshold"] == found["threshold"]
    assert isinstance(run.metacontroller, SegmentMetacontroller)


def test_without_steps_there_is_no_such_stage(
    small: Preset, base: FastPath, tmp_path: Path, quiet: QuietProgress
) -> None:
    run = Run.create(tmp_path / "run", replace(small, codes=CODES), seed=0)
    assert "metacontroller" in run.chain and "switches" not in run.chain
    run.stage("base").finish(base.model.weights(), {})
    with pytest.raises(UserError, match=r"switches\.steps is 0"):
        learn_switches(run, quiet)


def test_switches_without_codes_are_refused(small: Preset) -> None:
    with pytest.raises(UserError, match=r"switches\.steps = 4, and codes\.steps = 0"):
        check_preset(replace(small, switches=SWITCHES, codes=CodesConfig()))
