"""A Gymnasium environment that knows nothing of this toolkit goes through the whole chain."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.explorer.workbench import Workbench
from irl_lens.analyses.patching.attribution import attribute_patches
from irl_lens.analyses.patching.contrast import Setting
from irl_lens.analyses.patching.direct import attribute_logits
from irl_lens.analyses.patching.lens import action_lens
from irl_lens.analyses.patching.path import patch_paths
from irl_lens.analyses.patching.sweep import sweep_patches
from irl_lens.analyses.report.evaluate import evaluate_run
from irl_lens.analyses.report.report import build_report
from irl_lens.commands.chain import run_stage
from irl_lens.config.presets import preset
from irl_lens.errors import NotOffered
from irl_lens.progress import QuietProgress
from irl_lens.runs.run import Run
from tests.corridor_world import CorridorConfig

ROOT = Path(__file__).parents[1]
SMALL = Setting(pairs=4, pool=2, lags=2)


@pytest.fixture(scope="module", params=[True, False], ids=["labelled", "unlabelled"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of a few steps a stage."""
    given = preset("smoke")
    small = replace(
        given,
        name="corridor",
        world=CorridorConfig(labelled=request.param),
        pretrain=replace(given.pretrain, steps=20),
        controllers=replace(given.controllers, steps=5),
        discovery=replace(given.discovery, steps=5),
        codes=replace(given.codes, steps=5),
        internal_rl=replace(given.internal_rl, episodes=64, batch=32),
        raw_rl=replace(given.raw_rl, episodes=64, batch=32),
    )
    made = Run.create(tmp_path_factory.mktemp("corridor") / "run", small, seed=0)
    for name in made.chain:
        run_stage(name, made, QuietProgress())
    return Run.open(made.folder)


@pytest.fixture(scope="module")
def loaded(run: Run) -> LoadedRun:
    return LoadedRun(run)


def labelled(run: Run) -> bool:
    assert isinstance(run.preset.world, CorridorConfig)
    return run.preset.world.labelled


def test_all_stages_that_have_something_to_learn_are_done(run: Run) -> None:
    assert list(run.finished()) == list(run.chain)
    assert ("controllers" in run.chain) == labelled(run)
    losses = [row["nll"] for row in run.stage("base").metrics()]
    assert losses[-1] < losses[0]
    assert "floor" not in run.stage("base").result
    assert 0 <= run.stage("internal-rl").result["success_all"] <= 1


def test_the_report_has_what_the_world_can_tell(run: Run, tmp_path: Path) -> None:
    found = evaluate_run(run, QuietProgress())
    assert ("gate.f1" in found) == ("codes.identity" in found) == labelled(run)
    assert "base.gap_to_bayes" not in found  # there is no filter
    assert np.isfinite(found["internal_rl.success_all"])
    assert np.isfinite(found["internal_rl.subgoals"]) == labelled(run)
    page = build_report(run, tmp_path / "report.html").read_text()
    assert "Reinforcement learning" in page


@pytest.mark.parametrize(
    "analysis", [sweep_patches, attribute_patches, attribute_logits, action_lens, patch_paths]
)
def test_what_needs_pairs_alone_works(loaded: LoadedRun, analysis) -> None:
    result = analysis(loaded, SMALL)
    assert result.setting.edit == "demonstration"
    assert len(result.to_dataframe()) and "demonstration" in result.caption()
    assert result.figure().data


def test_what_the_world_does_not_offer_is_refused(loaded: LoadedRun) -> None:
    with pytest.raises(NotOffered, match="no exact Bayes filter"):
        _ = loaded.test.floor
    with pytest.raises(NotOffered, match="situations to draw and edit, which the explorer needs"):
        Workbench(loaded.run)
    if not labelled(loaded.run):
        with pytest.raises(NotOffered, match="these demonstrations have no subgoals"):
            loaded.fit.boundaries()


def test_the_command_line_is_told_of_the_world(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "irl_lens", "train", "base", "--preset", "corridor"]
    command += ["--out", "run", "--set", "world.length=6", "pretrain.steps=1", "base.d_model=8"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    refused = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert refused.returncode and "no preset 'corridor'" in refused.stderr
    env |= {"IRL_LENS_MODULES": str(ROOT / "tests" / "corridor_preset.py")}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    run = Run.open(tmp_path / "run")
    assert run.preset.world == CorridorConfig(length=6) and run.stage("base").done
