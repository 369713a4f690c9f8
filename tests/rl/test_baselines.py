"""Each baseline of internal RL from its settings to a finished stage, and what is loaded of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from irl_lens.commands.chain import run_stage
from irl_lens.config.overrides import changed
from irl_lens.config.presets import preset
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.controllers import bank_weights, controller_banks
from irl_lens.models.metacontroller import Metacontroller
from irl_lens.models.policy import LatentPolicy
from irl_lens.progress import QuietProgress
from irl_lens.rl.runner import RolloutRunner
from irl_lens.runs.parts import load_policy
from irl_lens.runs.run import Run

if TYPE_CHECKING:
    from irl_lens.rl.recorder import Rollout

BASELINES = {
    "no_abstraction": ("discovery.gate=open",),
    "random_controllers": ("internal_rl.decoder=random",),
    "supervised_policy": (
        *("internal_rl.decoder=controllers", "internal_rl.switching=true"),
        "internal_rl.start=prior",
    ),
    "true_switching": ("internal_rl.switching=true",),
}
FEW = (
    *("codes.steps=0", "internal_rl.episodes=16", "internal_rl.batch=16", "internal_rl.width=4"),
    *("internal_rl.prefix_episodes=16", "evaluation.rollouts=16"),
)


@pytest.fixture
def begun(tmp_path: Path) -> Callable[..., Run]:
    """Makes a run whose base, controllers and metacontroller count as trained."""

    def begin(*settings: str) -> Run:
        run = Run.create(tmp_path / "run", changed(preset("smoke"), [*FEW, *settings]), 0)
        world, config = run.world, run.preset
        torch.manual_seed(0)
        base = TrajectoryModel(config.base, world.observation, world.actions)
        banks = controller_banks(config.controllers, world, base.d_model)
        meta = Metacontroller(config.discovery, base.d_model)
        run.stage("base").finish(base.weights(), {})
        run.stage("controllers").finish(bank_weights(banks), {})
        run.stage("metacontroller").finish(meta.state_dict(), {})
        return run

    return begin


def played(run: Run, policy: LatentPolicy) -> Rollout:
    return RolloutRunner(run.fast, run.world.horizon, policy).play(run.world.vector_env(8), 0)


@pytest.mark.parametrize("name", BASELINES)
def test_each_is_trained_by_its_settings(begun: Callable[..., Run], name: str) -> None:
    run = begun(*BASELINES[name])
    run_stage("internal-rl", run, QuietProgress())
    stage = run.stage("internal-rl")
    assert {"success", "switch_rate", "prefixes"} <= stage.result.keys()
    rollout = played(run, load_policy(run))
    assert rollout.subgoals is not None
    changes = rollout.mask.copy()
    changes[:, 1:] &= rollout.subgoals[:, 1:] != rollout.subgoals[:, :-1]
    wanted = {"no_abstraction": rollout.mask, "supervised_policy": changes}.get(name)
    wanted = changes if name == "true_switching" else wanted
    assert wanted is None or (rollout.switches == wanted).all()
    if name == "supervised_policy":
        assert rollout.decisions is not None
        assert rollout.decisions.codes.shape[1] == len(run.world.subgoal_names)
