"""Reinforcement learning over CompILE's options: the planted world, the stages, what they leave."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from irl_lens.commands.chain import run_stage
from irl_lens.config.compile import CompileConfig
from irl_lens.config.presets import preset
from irl_lens.config.rl import CodesRLConfig
from irl_lens.errors import UserError
from irl_lens.files.tensors import CheckpointError
from irl_lens.models.compile.model import CompILE
from irl_lens.models.compile.sub_policy import SubPolicyPath
from irl_lens.progress import QuietProgress
from irl_lens.rl.internal import InternalAgent
from irl_lens.rl.trainer import RLJob
from irl_lens.runs.parts import load_compile
from irl_lens.runs.run import Run
from irl_lens.training.compile import segment_codes

if TYPE_CHECKING:
    from tests.rl.conftest import Parts, Planted


@pytest.fixture
def options(planted: Planted) -> CompILE:
    """Whose code is the action, and which never stops."""
    config = CompileConfig(latent=2, hidden=4, width=4)
    model = CompILE(config, planted.world.observation, planted.world.actions).requires_grad_(False)
    for parameter in (*model.policy.parameters(), *model.options.parameters()):
        parameter.zero_()
    weights = {
        "policy.embed.W_E": [[0.0, 0, 1, -1], [0, 0, -1, 1]],
        "options.decoder.matrix": [[1.0, 0], [-1, 0], [0, 0], [0, 0]],
        "policy.layers.1.weight": torch.eye(4).tolist(),
        "policy.layers.3.weight": [[9.0, 0, 0, 0], [0, 9, 0, 0]],
    }
    for name, values in weights.items():
        model.get_parameter(name).copy_(torch.tensor(values))
    model.options.out.bias.fill_(-5)
    return model


def test_the_policy_over_options_learns_the_planted_world(
    planted: Planted, options: CompILE
) -> None:
    config = CodesRLConfig(batch=128, lr=1e-2, width=16)
    path = SubPolicyPath(options.policy)
    agent = InternalAgent(path, options.options, config, planted.world.horizon, seed=0)
    job = RLJob(agent, planted.world, config, 0, "test")
    figures = [job.step(i) for i in range(40)]
    assert figures[0]["success"] < 0.6 and figures[0]["switch_rate"] == 0
    assert sum(f["success"] for f in figures[-5:]) / 5 > 0.95
    assert all(p.grad is None for p in options.parameters())


def test_an_option_that_stops_at_once_is_drawn_at_every_step(
    planted: Planted, options: CompILE
) -> None:
    options.options.out.bias.fill_(5)
    config = CodesRLConfig(episodes=32, batch=32, width=4)
    path = SubPolicyPath(options.policy)
    agent = InternalAgent(path, options.options, config, planted.world.horizon, seed=0)
    played = agent.runner.play(planted.world.vector_env(32), 0)
    assert (played.switches == played.mask).all()


def test_a_world_that_it_was_not_made_for_is_refused(parts: Parts, options: CompILE) -> None:
    agent = InternalAgent(
        SubPolicyPath(options.policy), options.options, CodesRLConfig(width=4), 9, seed=0
    )
    with pytest.raises(UserError, match="the model was made for columns"):
        agent.runner.play(parts.world.vector_env(2), 0)


def test_the_stages(tmp_path: Path) -> None:
    smoke = preset("smoke")
    small = replace(
        smoke,
        compile=replace(smoke.compile, steps=3, batch=8),
        compile_rl=replace(smoke.compile_rl, episodes=32, batch=16, width=8),
        evaluation=replace(smoke.evaluation, trajectories=16, rollouts=16),
    )
    run = Run.create(tmp_path / "run", small, seed=0)
    with pytest.raises(CheckpointError, match="stage 'compile' of"):
        run_stage("compile-rl", run, QuietProgress())
    for stage in ("compile", "compile-rl"):
        run_stage(stage, run, QuietProgress())
    found = run.stage("compile")
    assert {"nll", "stop", "kl_codes", "kl_boundaries", "segments", "f1"} <= found.result.keys()
    assert 1 <= found.result["segments"] <= small.compile.segments
    rl = run.stage("compile-rl")
    assert [row["episodes"] for row in rl.metrics()] == [16, 32]
    assert {"success", "success_all", "switch_rate"} <= rl.result.keys()
    assert list(run.finished()) == ["compile", "compile-rl"]  # with no stage of the chain
    model = load_compile(run)
    codes = segment_codes(model, run.world.demonstrate(8, 0), run.device)
    assert codes.shape[1] == small.compile.latent and 8 <= len(codes) <= 32
    assert not any(p.requires_grad for p in model.parameters())
