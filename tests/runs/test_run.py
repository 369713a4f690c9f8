"""The trained parts of a run: loaded once, typed, never stale, and missing with a reason."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from irl_lens.config.presets import PRESETS
from irl_lens.errors import UserError
from irl_lens.files.tensors import CheckpointError
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.policy import LatentPolicy
from irl_lens.models.segments import SegmentMetacontroller
from irl_lens.runs.copies import write_record
from irl_lens.runs.run import Run

PARTS = {
    "base": "base",
    "fast": "base",
    "pretrained": "base",
    "controllers": "controllers",
    "discovered": "metacontroller",
    "metacontroller": "codes",
    "policy": "internal-rl",
    "raw": "raw-rl",
}
"""Each part and the stage that leaves it."""


@pytest.fixture
def run(smoke_run: Run, tmp_path: Path) -> Run:
    """A finished run of the test's own."""
    return Run.open(shutil.copytree(smoke_run.folder, tmp_path / "run"))


def test_every_part_is_there_and_has_no_gradients(run: Run) -> None:
    assert isinstance(run.base, TrajectoryModel) and run.base is run.pretrained
    assert isinstance(run.metacontroller, SegmentMetacontroller)
    assert isinstance(run.policy, LatentPolicy)
    assert run.fast.model is run.base
    assert list(run.controllers) == [1] and run.bank(1) is run.controllers[1]
    assert tuple(run.bank(1)) == run.world.subgoal_names
    modules = run.base, run.raw, run.bank(1), run.discovered, run.metacontroller, run.policy
    assert not any(p.requires_grad for module in modules for p in module.parameters())
    left = run.stage("raw-rl").weights()
    assert all(torch.equal(weights, left[name]) for name, weights in run.raw.weights().items())


def test_parts_are_loaded_once_and_are_a_runs_own(run: Run) -> None:
    for others in (Run.open(run.folder), run.fresh()):
        for name in ("world", *PARTS):
            assert getattr(run, name) is getattr(run, name)
            assert getattr(others, name) is not getattr(run, name)
        with torch.no_grad():
            others.base.hooked.unembed.W_U.zero_()
        assert run.base.hooked.unembed.W_U.any()


def test_looking_at_a_part_leaves_the_users_random_numbers_alone(run: Run) -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    for name in PARTS:
        getattr(run, name)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(("part", "stage"), PARTS.items())
def test_a_missing_part_names_the_stage_to_run(run: Run, part: str, stage: str) -> None:
    shutil.rmtree(run.folder / stage)
    with pytest.raises(CheckpointError, match=rf"'{stage}'.*irl-lens train {stage} "):
        getattr(run, part)


def test_a_layer_without_controllers_is_refused_with_those_there_are(run: Run) -> None:
    with pytest.raises(UserError, match="no controllers at layer 7; there are some at 1"):
        run.bank(7)


def test_a_record_has_no_parts(run: Run, tmp_path: Path) -> None:
    record = Run.open(write_record(run, tmp_path / "record"))
    for part in PARTS:
        with pytest.raises(CheckpointError, match="is a record, without weights"):
            getattr(record, part)


def test_a_part_whose_stage_was_trained_anew_is_loaded_anew(run: Run) -> None:
    base, bank, meta, fast = run.base, run.bank(1), run.metacontroller, run.fast
    weights = {name: value + 1 for name, value in base.weights().items()}
    shutil.rmtree(run.folder / "base")
    with pytest.raises(CheckpointError, match="'base'"):
        _ = run.base
    run.stage("base").finish(weights, {})
    assert run.base is not base and run.fast is not fast
    assert torch.equal(run.base.weights()["hooked.unembed.b_U"], weights["hooked.unembed.b_U"])
    assert run.fast.model is run.base is run.base
    assert run.bank(1) is bank and run.metacontroller is meta  # their stages are as they were


def test_a_stage_that_finishes_later_leaves_other_parts_as_they_are(
    smoke_run: Run, tmp_path: Path
) -> None:
    shutil.copytree(smoke_run.folder / "base", tmp_path / "run" / "base")
    shutil.copy(smoke_run.folder / "config.json", tmp_path / "run")
    run = Run.open(tmp_path / "run")
    base = run.base
    for stage in ("metacontroller", "codes"):
        with pytest.raises(CheckpointError, match="not finished"):
            _ = run.metacontroller
        shutil.copytree(smoke_run.folder / stage, run.folder / stage)
    assert isinstance(run.metacontroller, SegmentMetacontroller)
    assert run.base is base


def test_settings_that_were_changed_since_are_noticed(tmp_path: Path) -> None:
    smoke = PRESETS["smoke"]
    run = Run.create(tmp_path / "run", smoke, seed=0)
    wider = replace(smoke, base=replace(smoke.base, d_model=48))
    now = Run.create(tmp_path / "run", wider, seed=0)
    now.stage("base").finish(TrajectoryModel(*_sizes(now)).weights(), {})
    with pytest.raises(UserError, match=r"base\.d_model = 32 and now has base\.d_model = 48"):
        _ = run.base
    assert now.base.d_model == 48


def _sizes(run: Run) -> tuple:
    return run.preset.base, run.world.observation, run.world.actions


def test_the_trace_is_that_of_its_own_base(run: Run) -> None:
    episodes = run.world.demonstrate(3, seed=0)
    trace = run.encode(episodes)
    assert trace.z.shape == (*episodes.mask.shape, run.metacontroller.decoder.n_z)
    assert (trace.beta[:, 0] == 1).all() and not trace.z[~episodes.mask].any()
