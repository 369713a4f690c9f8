"""A Gymnasium environment that knows nothing of this toolkit goes through the whole chain."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from irl_lens.analyses.analyze import analyze
from irl_lens.analyses.belief.label_probes import LabelProbes
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.explorer.workbench import Workbench
from irl_lens.analyses.report.evaluate import evaluate_run
from irl_lens.analyses.report.headline_results import NAMES
from irl_lens.analyses.report.report import build_report
from irl_lens.commands.chain import run_stage
from irl_lens.config.presets import preset
from irl_lens.errors import NotOffered
from irl_lens.progress import QuietProgress
from irl_lens.runs.run import Run
from tests.corridor_world import CorridorConfig
from tests.every_analysis import every_analysis

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module", params=[True, False], ids=["labelled", "unlabelled"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of a few steps a stage."""
    given = preset("smoke")
    small = replace(
        given,
        name="corridor",
        world=CorridorConfig(labelled=request.param),
        pretrain=replace(given.pretrain, steps=20, batch=12),
        controllers=replace(given.controllers, steps=5, batch=8),
        discovery=replace(given.discovery, steps=5, batch=8),
        codes=replace(given.codes, steps=5, batch=8),
        internal_rl=replace(given.internal_rl, episodes=64, batch=32),
        raw_rl=replace(given.raw_rl, episodes=64, batch=32),
    )
    made = Run.create(tmp_path_factory.mktemp("corridor") / "run", small, seed=0)
    with pytest.MonkeyPatch.context() as patch:  # demonstrations are slow where shapes are checked
        patch.setattr("irl_lens.training.segment_starts.GATES_OF", 64)
        patch.setattr("irl_lens.rl.internal.DEMONSTRATIONS", 64)
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
    for name in ("gate.f1", "codes.identity", "probe.best", "controllers.success_all"):
        assert (name in found) == labelled(run)
    assert np.isnan(found.get("controllers.gap_closed", np.nan))
    assert "base.gap_to_bayes" not in found  # there is no filter
    for name in ("internal_rl.success_all", "internal_rl.success_mean", "raw_rl.success_argmax"):
        assert np.isfinite(found[name])
    for name in ("internal_rl.subgoals", "internal_rl.longest_half"):
        assert np.isfinite(found[name]) == labelled(run)
    page = build_report(run, tmp_path / "report.html").read_text()
    assert "Reinforcement learning" in page and "nats in 20 steps of pretraining. " in page
    assert ("probe reads the current abstract subgoal" in page) == labelled(run)
    assert "all 0 subgoals" not in page and "reached, of 0" not in page
    assert "exact filter" not in page and "on solvable boards (95" not in page


def test_every_analysis_works_or_says_what_the_world_lacks(loaded: LoadedRun) -> None:
    found = every_analysis(loaded, but=NAMES)  # those of the report are measured there
    patching = ("patching", "attribution", "direct-logits", "logit-lens", "path-patching")
    assert found.keys() >= {*patching, "success"}
    assert ("code-clusters" in found) == ("circuit" in found) == labelled(loaded.run)
    for name in patching:
        assert found[name].setting.edit == "demonstration"  # type: ignore[attr-defined]
        assert "demonstration" in found[name].caption()
    if labelled(loaded.run):
        probes = found["label-probes"]
        assert isinstance(probes, LabelProbes) and probes.left == ("direction",)  # no policy


def test_a_stage_is_not_asked_for_where_the_world_has_nothing_for_it(run: Run) -> None:
    if not labelled(run):
        with pytest.raises(NotOffered, match="control needs labels of subgoals, which a Gymn"):
            analyze(run, ["control"])


def test_what_the_world_does_not_offer_is_refused(loaded: LoadedRun) -> None:
    with pytest.raises(NotOffered, match="no exact Bayes filter"):
        _ = loaded.test.floor
    with pytest.raises(
        NotOffered, match="situations to draw, edit and retrace a walk in, which the explorer needs"
    ):
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
