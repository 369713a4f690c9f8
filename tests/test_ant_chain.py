"""The whole chain on the ant, tiny: real columns, real torques, a filter, by the same code."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.report.evaluate import evaluate_run
from irl_lens.analyses.report.report import build_report
from irl_lens.commands.chain import run_stage
from irl_lens.config.presets import preset
from irl_lens.config.schema import BaseConfig, CodesConfig, Preset, SwitchesConfig
from irl_lens.envs.ant.spec import AntConfig
from irl_lens.envs.pinpad.tasks import Grammar, register
from irl_lens.envs.registry import make_world
from irl_lens.models.heads import Gaussian
from irl_lens.progress import QuietProgress
from irl_lens.rl.runner import RolloutRunner
from irl_lens.runs.run import Run
from tests.every_analysis import every_analysis

SHORT = Grammar("short", ((0,), (1,)), ("0", "1"), ((0, 1), (1, 0)), (0, 1))
"""Two colours, so that an episode takes some tens of steps."""


def tiny() -> Preset:
    """An arena of 2 x 2 cells, and a few steps a stage."""
    register(SHORT)
    smoke = preset("smoke")
    return replace(
        smoke,
        name="ant",
        world=AntConfig(size=2, colours=2, walls=0, horizon=80, grammar="short"),
        base=BaseConfig(d_model=16, n_layers=2, n_heads=2, d_mlp=24),
        pretrain=replace(smoke.pretrain, steps=8, batch=8),
        controllers=replace(smoke.controllers, layers=(1,), kind="full", steps=3, batch=8),
        switches=SwitchesConfig(steps=3, history=6, hidden=8, batch=8),
        codes=CodesConfig(steps=3, history=6, hidden=8, latent=3, batch=8),
        internal_rl=replace(smoke.internal_rl, episodes=16, batch=8, start="posterior"),
        raw_rl=replace(smoke.raw_rl, episodes=16, batch=8),
        evaluation=replace(smoke.evaluation, trajectories=12, rollouts=8, probe_iterations=5),
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    made = Run.create(tmp_path_factory.mktemp("ant") / "run", tiny(), seed=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("irl_lens.training.pretrain.FLOOR_SAMPLE", 12)
        patch.setattr("irl_lens.training.surprise.PEAKS_OF", 12)
        patch.setattr("irl_lens.rl.internal.DEMONSTRATIONS", 12)
        for name in made.chain:
            run_stage(name, made, QuietProgress())
    return Run.open(made.folder)


def test_every_stage_is_done_and_learns_from_torques(run: Run) -> None:
    assert list(run.finished()) == list(run.chain)
    losses = [row["nll"] for row in run.stage("base").metrics()]
    assert losses[-1] < losses[0] - 1
    assert run.stage("base").result["floor"] < losses[-1]
    assert isinstance(run.base.action_head, Gaussian)
    world = make_world(run.preset.world)
    played = RolloutRunner(run.fast, world.horizon, run.policy).play(world.vector_env(4), 0)
    assert np.isfinite(played.actions).all() and played.decisions is not None


SUMMARISED = (
    "expert.success_solvable",
    "expert.success_sampled",
    "base.nll_gap",
    "base.success_of_expert",
    "probe.best",
    "controllers.success_of_expert",
    "gate.f1",
    "codes.identity",
    "codes.success_of_expert",
    "codes.success_argmax",
    "internal_rl.success_of_expert",
    "internal_rl.success_mean",
    "internal_rl.success_argmax",
    "raw_rl.success_of_expert",
    "raw_rl.success_argmax",
    "run.minutes",
    "stream.steps_per_s_core",
)


def test_evaluation_and_report_have_the_floor_and_the_expert(run: Run, tmp_path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("irl_lens.analyses.report.evaluate.DRAWN", 8)
        found = evaluate_run(run, QuietProgress())
    assert set(SUMMARISED) <= {name for name, value in found.items() if np.isfinite(value)}
    assert found["base.success_of_expert"] * found["expert.success_solvable"] == pytest.approx(
        found["base.success"]
    )
    for part in ("controllers", "codes", "internal_rl", "raw_rl"):
        share = found[f"{part}.success_solvable"] / found["expert.success_heldout"]
        assert found[f"{part}.success_of_expert"] == share
    assert found["stream.steps_per_s_core"] > 100
    assert found["base.gap_to_bayes"] == pytest.approx(found["base.nll"] - found["base.nll_bayes"])
    assert found["base.nll_known_goal"] < found["base.nll_bayes"] < found["base.nll"]
    assert "base.accuracy" not in found and 0 <= found["gate.f1"] <= 1
    page = build_report(run, tmp_path / "report.html").read_text()
    assert "exact Bayes filter" in page and "stream.steps_per_s_core" in page


@pytest.mark.slow
def test_every_analysis_works_or_says_what_the_ant_lacks(run: Run) -> None:
    found = every_analysis(LoadedRun(run))
    assert {"floor", "belief", "control", "codes", "patching", "success"} <= found.keys()
    boundaries = found["boundary-detection"]
    assert list(boundaries.to_dataframe()["tolerance"].dropna().unique()) == [0, 1, 3]
    assert "within 3 steps" in boundaries.caption()
