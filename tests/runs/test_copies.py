"""Records and bundles: what is known of a run, and a run to ship."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

import irl_lens
from irl_lens import cli
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.learning.success import raw_episodes, success
from irl_lens.errors import UserError
from irl_lens.files.tensors import CheckpointError
from irl_lens.runs.copies import write_bundle, write_record
from irl_lens.runs.run import Run
from irl_lens.runs.seed_summary import write_summary

ACTING = "base", "controllers", "codes", "internal-rl"
"""Stages whose weights a bundle has."""


@pytest.fixture(scope="module")
def run() -> Run:
    return irl_lens.load("grid")


@pytest.fixture(scope="module")
def raw(run: Run) -> dict[str, np.ndarray]:
    return raw_episodes(LoadedRun(run))


def test_a_record_knows_all_but_the_weights(run: Run, tmp_path: Path) -> None:
    record = Run.open(write_record(run, tmp_path / "record"))
    assert record.preset == run.preset and list(record.finished()) == list(run.finished())
    for name, stage in run.finished().items():
        kept = record.stage(name)
        assert (kept.result, kept.made_with()) == (stage.result, stage.made_with())
        assert kept.metrics() == stage.metrics()
    assert not list(record.folder.rglob("*.safetensors"))


def test_a_summary_of_records_is_that_of_the_runs(run: Run, tmp_path: Path) -> None:
    write_summary([run], tmp_path)
    written = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert tmp_path / "runs" / f"seed-{run.seed}" / "evaluation.json" in written
    again = tmp_path / "again"
    write_summary([Run.open(tmp_path / "runs" / f"seed-{run.seed}")], again)
    for path, data in written.items():
        assert (again / path.relative_to(tmp_path)).read_bytes() == data
    # Its own records may be among what a summary is made of.
    write_summary([Run.open(tmp_path / "runs" / f"seed-{run.seed}")], tmp_path)
    assert {path: path.read_bytes() for path in written} == written


def test_a_bundle_acts_as_the_run_does(run: Run, tmp_path: Path) -> None:
    cli.main(["bundle", "grid", "--out", str(tmp_path / "bundle")])
    bundle = Run.open(tmp_path / "bundle")
    assert all(bundle.stage(name).weights().keys() for name in ACTING)
    world, model = run.world, run.base
    observations = torch.as_tensor(world.demonstrate(4, seed=0).observations)
    logits = model(observations)
    torch.testing.assert_close(bundle.base(observations), logits, atol=0.2, rtol=0.05)
    parts = [(bundle.metacontroller, run.metacontroller), (bundle.policy, run.policy)]
    banks = bundle.controllers, run.controllers
    parts += [(banks[0][layer], bank) for layer, bank in banks[1].items()]
    for mine, theirs in parts:
        for one, other in zip(mine.parameters(), theirs.parameters(), strict=True):
            assert one.dtype == torch.float32
            torch.testing.assert_close(one, other, atol=1e-2, rtol=1e-2)


def test_what_is_not_acted_with_stays_behind(smoke_run: Run, tmp_path: Path) -> None:
    bundle = Run.open(irl_lens.bundle(smoke_run, out=tmp_path / "bundle"))
    for look in (lambda: bundle.raw, lambda: bundle.discovered):
        with pytest.raises(CheckpointError, match="without weights; use the run"):
            look()
    # Raw-action RL is held against all the same, by the episodes that it played.
    mine, theirs = (success(LoadedRun(one)) for one in (bundle, smoke_run))
    assert theirs.raw is not None
    assert (mine.raw, mine.raw_likeliest) == (theirs.raw, theirs.raw_likeliest)
    again = Run.open(irl_lens.bundle(bundle, out=tmp_path / "again"))
    for name, array in bundle.stage("raw-rl").arrays().items():
        np.testing.assert_array_equal(again.stage("raw-rl").arrays()[name], array)


def test_an_interrupted_bundle_is_no_run_and_can_be_made_again(
    run: Run, raw: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bundle(run, tmp_path / "whole", raw)
    files = {f.relative_to(tmp_path / "whole") for f in (tmp_path / "whole").rglob("*.*")}
    count = 0

    def interrupted(source: Path, target: Path) -> None:
        nonlocal count
        count += 1
        if count == stop:
            raise KeyboardInterrupt
        rename(source, target)

    rename = os.replace
    for stop in (1, len(files) // 2, len(files)):
        folder, count = tmp_path / str(stop), 0
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(os, "replace", interrupted)
            write_bundle(run, folder, raw)
        assert not list(folder.rglob("*.tmp"))
        with pytest.raises(UserError, match="no run folder"):
            Run.open(folder)
        (folder / ".config.json.99999999.tmp").write_text("{")  # as kill -9 leaves it
        write_bundle(run, folder, raw)
        assert {f.relative_to(folder) for f in folder.rglob("*.*")} == files
        with pytest.raises(UserError, match=r"not empty, it has config\.json"):
            write_bundle(run, folder, raw)


def test_a_bundle_is_of_a_finished_run_and_overwrites_nothing(run: Run, tmp_path: Path) -> None:
    begun = Run.create(tmp_path / "begun", run.preset, seed=0)
    with pytest.raises(UserError, match=r"base, controllers, .* is missing"):
        write_bundle(begun, tmp_path / "bundle", {})
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        write_bundle(run, tmp_path / "full", {})
    assert json.dumps([p.name for p in (tmp_path / "full").iterdir()]) == '["thesis.txt"]'
