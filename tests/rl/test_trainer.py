"""Both kinds of RL, from the first batch to the finished stage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from irl_lens.config.rl import InternalRLConfig, RLConfig
from irl_lens.config.schema import BaseConfig, ControllersConfig, EvaluationConfig, Preset
from irl_lens.envs.registry import PinpadConfig, make_world
from irl_lens.errors import UserError
from irl_lens.progress import QuietProgress
from irl_lens.rl.internal import (
    ENOUGH,
    LEARNED,
    InternalAgent,
    internal_rl,
    spare,
)
from irl_lens.rl.raw import RawAgent, raw_rl
from irl_lens.rl.trainer import RECENT, RLJob, draw_seed, parameters
from irl_lens.runs.parts import load_policy
from irl_lens.runs.run import Run
from irl_lens.runs.stage import Stage
from irl_lens.training.finite import DivergedError
from irl_lens.training.loop import train

if TYPE_CHECKING:
    from tests.rl.conftest import Parts, Planted

TINY = InternalRLConfig(episodes=64, batch=16, lr=1e-2, width=8)


def internal(planted: Planted, config: InternalRLConfig) -> RLJob:
    """Internal RL in the planted world."""
    agent = InternalAgent(planted.fast, planted.meta, config, planted.world.horizon, seed=0)
    return RLJob(agent, planted.world, config, 0, "test")


def test_internal_rl_learns_which_code_the_observation_asks_for(planted: Planted) -> None:
    job = internal(planted, InternalRLConfig(batch=128, lr=1e-2, width=16))
    base, meta = planted.fast.model.hash(), parameters(planted.meta)
    before = {name: value.clone() for name, value in meta.items()}
    figures = [job.step(i) for i in range(40)]
    assert figures[0]["success"] < 0.6
    assert sum(f["success"] for f in figures[-5:]) / 5 > 0.95
    assert [i for i, f in enumerate(figures) if "success_mean" in f] == [19, 39]
    assert figures[39]["success_mean"] > 0.95
    assert planted.fast.model.hash() == base
    assert all(torch.equal(before[name], value) for name, value in meta.items())
    frozen = (*planted.fast.model.parameters(), *planted.meta.parameters())
    assert all(parameter.grad is None for parameter in frozen)


def test_raw_rl_learns_the_planted_world(planted: Planted) -> None:
    config = RLConfig(batch=512, lr=1e-2)
    agent = RawAgent(planted.fast.model, config, planted.world.horizon)
    job = RLJob(agent, planted.world, config, 0, "test")
    figures = [job.step(i) for i in range(40)]
    assert figures[0]["success"] < 0.4
    assert figures[-1]["success"] > 0.9
    assert "switch_rate" not in figures[0] and "success_mean" not in figures[39]


def test_figures_of_a_batch(planted: Planted) -> None:
    figures = internal(planted, TINY).step(0)
    names = ("episodes", "success", "subgoals", "visits", "length", "switch_rate")
    assert set(figures) == {*names, "kl", "clipped", "entropy", "zero_batches"}
    assert figures["switch_rate"] == 0
    assert figures["episodes"] == 16
    assert figures["entropy"] == pytest.approx(2 * 1.4189, rel=0.3)


def test_checks_by_mean_codes_change_nothing_that_is_learned(
    planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = []
    for every in (1, 1_000):
        monkeypatch.setattr("irl_lens.rl.trainer.CHECKED", every)
        jobs.append(internal(planted, TINY))
        figures = [jobs[-1].step(i) for i in range(4)]
        assert all(("success_mean" in f) == (every == 1) for f in figures)
    checked, plain = (job.state() for job in jobs)
    assert checked.keys() == plain.keys()
    assert all(torch.equal(checked[name], plain[name]) for name in plain)


def test_a_batch_without_success_leaves_everything_as_it_was(parts: Parts) -> None:
    agent = InternalAgent(parts.fast, parts.meta, TINY, 2, seed=0)  # two steps are too few
    job = RLJob(agent, parts.world, TINY, 0, "test")
    before = {name: value.clone() for name, value in job.state().items()}
    figures = job.step(0)
    assert figures["success"] == 0
    assert figures["zero_batches"] == 1
    after = job.state()
    assert after.pop("count/silent") == before.pop("count/silent") + 1
    assert after.keys() == before.keys()
    assert all(torch.equal(before[name], after[name]) for name in after)


class Stop(QuietProgress):
    """Interrupts after a number of steps."""

    def __init__(self, after: int) -> None:
        self.after = after

    def update(self, step: int, **shown: float) -> None:
        """Raises when the time has come."""
        if step == self.after:
            raise KeyboardInterrupt


def test_resumed_equals_uninterrupted(planted: Planted, tmp_path: Path) -> None:
    whole, cut = Stage(tmp_path / "whole"), Stage(tmp_path / "cut")
    train(whole, internal(planted, TINY), QuietProgress(), log_every=1)
    with pytest.raises(KeyboardInterrupt):
        train(cut, internal(planted, TINY), Stop(3), checkpoint_seconds=0.0)
    resumed = internal(planted, TINY)
    train(cut, resumed, QuietProgress())
    expected, found = whole.load_state(), cut.load_state()
    assert expected is not None and found is not None
    assert expected[0] == found[0] == 4
    for name, value in expected[1].items():
        assert torch.equal(value, found[1][name]), name


@pytest.fixture
def run(parts: Parts, tmp_path: Path) -> Run:
    """A run whose base and metacontroller are finished, though not trained."""
    preset = Preset(
        name="tiny",
        world=PinpadConfig(size=5, colours=4, walls=2, horizon=12, grammar="paper-ant"),
        base=BaseConfig(d_model=16, n_layers=2, n_heads=2, d_mlp=16),
        controllers=ControllersConfig(layers=(1,), rank=4),
        discovery=parts.meta.config,
        internal_rl=replace(TINY, episodes=32, prefix_episodes=48, start="posterior"),
        raw_rl=RLConfig(episodes=32, batch=16, lr=1e-2),
        evaluation=EvaluationConfig(rollouts=32),
    )
    from irl_lens.training.discovery import DiscoveryJob
    from irl_lens.training.pretrain import PretrainJob

    run = Run.create(tmp_path / "run", preset, 0)
    base = PretrainJob(preset, 0)
    run.stage("base").finish(base.model.weights(), {})
    world, fast = run.world, base.fast
    meta = DiscoveryJob(preset.discovery, world, fast, 0).meta
    run.stage("metacontroller").finish(meta.state_dict(), {})
    return run


def test_the_internal_stage(run: Run) -> None:
    internal_rl(run, QuietProgress())
    stage = run.stage("internal-rl")
    assert stage.done
    assert [row["episodes"] for row in stage.metrics()] == [16, 32]
    assert {"success", "success_all", "subgoals", "prefixes"} <= set(stage.result)
    assert 0 <= stage.result["prefixes"]["2"]["recent"] < ENOUGH
    assert list(stage.result["prefixes"]) == ["2"]  # far from half: no longer prefix is tried
    for prefix in (None, 2):
        network = load_policy(run, prefix).network
        assert not any(parameter.requires_grad for parameter in network.parameters())
    prefix = Stage(stage.folder / "prefix-2")
    assert [row["episodes"] for row in prefix.metrics()] == [16, 32, 48]
    assert torch.equal(network.log_std, prefix.weights()["log_std"])
    assert network.centre.any() and torch.equal(network.centre, prefix.weights()["centre"])


def test_prefixes_that_the_whole_tasks_policy_does_are_not_trained_on_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("irl_lens.rl.internal.LEARNED", 0.0)
    internal_rl(run, QuietProgress())
    result = run.stage("internal-rl").result
    assert result["prefixes"] == {}
    subgoals = len(make_world(run.preset.world).heldout_subgoals)
    reached = [result[f"reached_{k}"] for k in range(1, subgoals + 1)]
    assert sorted(reached, reverse=True) == reached
    assert sum(reached) == pytest.approx(result["subgoals"])


def test_a_prefix_is_trained_on_only_until_it_works(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("irl_lens.rl.internal.ENOUGH", 0.0)
    internal_rl(run, QuietProgress())
    assert len(run.stage("internal-rl").metrics()) == 2
    assert Stage(run.stage("internal-rl").folder / "prefix-2").metrics() == []


def test_the_next_prefix_is_tried_where_one_works_with_something_to_spare() -> None:
    assert spare({"success": LEARNED, "recent": ENOUGH})
    assert not spare({"success": LEARNED, "recent": ENOUGH - 1e-6})
    assert not spare({"success": LEARNED - 1e-6, "recent": ENOUGH})


def test_no_prefix_is_trained_on_unless_asked_for(run: Run) -> None:
    quick = replace(run.preset.internal_rl, prefix_episodes=0)
    other = Run.create(run.folder.parent / "other", replace(run.preset, internal_rl=quick), 0)
    for name in ("base", "metacontroller"):
        other.stage(name).finish(run.stage(name).weights(), {})
    internal_rl(other, QuietProgress())
    assert other.stage("internal-rl").result["prefixes"] == {}


def test_the_policy_is_narrowed_by_equal_factors(planted: Planted) -> None:
    config = InternalRLConfig(episodes=64, batch=16, lr=1e-9, initial_std=2.0, final_std=0.5)
    job, free = internal(planted, config), internal(planted, replace(config, final_std=None))
    spread = []
    for i in range(4):
        job.step(i)
        free.step(i)
        spread.append(job.state()["trained/log_std"].exp().max().item())
    assert spread == pytest.approx([2**0.5, 1, 2**-0.5, 0.5])
    assert free.state()["trained/log_std"].exp().min().item() == pytest.approx(2)
    assert job.step(4)["entropy"] < free.step(4)["entropy"] - 2


def test_recent_success_is_that_of_the_last_batches(planted: Planted) -> None:
    # Shares of 33 are none of float32.
    config = InternalRLConfig(batch=33, lr=1e-2, width=16)
    job = internal(planted, config)
    assert job.recent_success == 0
    success = [job.step(i)["success"] for i in range(RECENT + 2)]
    assert job.recent_success == pytest.approx(sum(success[-RECENT:]) / RECENT)
    resumed = internal(planted, config)
    resumed.load(job.state())
    assert resumed.recent_success == job.recent_success
    assert resumed.step(RECENT + 2) == job.step(RECENT + 2)
    assert resumed.recent_success == job.recent_success


@pytest.mark.parametrize("kind", ["internal", "raw"])
def test_a_rate_far_too_high_ends_training(planted: Planted, tmp_path: Path, kind: str) -> None:
    config = replace(TINY, lr=1e30)
    agent = RawAgent(planted.fast.model, config, planted.world.horizon)
    raw = RLJob(agent, planted.world, config, 0, "test")
    job = raw if kind == "raw" else internal(planted, config)
    with pytest.raises(DivergedError, match=r"stage rl in .* in step \d \(kl\)"):
        train(Stage(tmp_path / "rl"), job, QuietProgress(), log_every=1)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_boards_of_which_none_can_be_solved_measure_no_success(parts: Parts) -> None:
    agent = InternalAgent(parts.fast, parts.meta, TINY, parts.world.horizon, seed=0)
    env = parts.world.vector_env(1, solvable=False)

    def solvable(purpose: str) -> bool:
        return bool(env.reset(seed=draw_seed(0, f"{purpose}-check-0", 0))[1]["solvable"][0])

    purpose = next(p for p in map(str, range(1000)) if not solvable(p))
    with pytest.raises(UserError, match=r"none of 1 boards.*evaluation\.rollouts"):
        RLJob(agent, parts.world, TINY, 0, purpose).measure(1)


def test_the_raw_stage(run: Run) -> None:
    raw_rl(run, QuietProgress())
    stage = run.stage("raw-rl")
    assert stage.weights().keys() == run.stage("base").weights().keys()
    assert [row["episodes"] for row in stage.metrics()] == [16, 32]
    assert 0 <= stage.result["success_all"] <= 1
