"""No setting is recorded and then not used: a change of any one changes what comes out.

Every part is trained for two steps on the smallest world, and what came out is compared; where
a setting only matters beside another one, that one is set too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch
from torch import Tensor

from irl_lens.analyses.belief.subgoal_probes import subgoal_probes
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.config.compile import CompileConfig
from irl_lens.config.overrides import changed, settings_of
from irl_lens.config.rl import CodesRLConfig, InternalRLConfig, RLConfig
from irl_lens.config.schema import (
    BaseConfig,
    CodesConfig,
    ControllersConfig,
    DiscoveryConfig,
    EvaluationConfig,
    Preset,
    PretrainConfig,
    SwitchesConfig,
)
from irl_lens.config.validation import check_preset
from irl_lens.envs.pinpad.tasks import register
from irl_lens.envs.registry import PinpadConfig, make_world
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.fast import FastPath
from irl_lens.models.metacontroller import Metacontroller
from irl_lens.progress import QuietProgress
from irl_lens.rl import internal, raw
from irl_lens.rl.compile import compile_rl
from irl_lens.runs.run import Run
from irl_lens.runs.stage import Stage
from irl_lens.training import pretrain
from irl_lens.training.codes import CodesJob
from irl_lens.training.compile import CompileJob
from irl_lens.training.controllers import ControllersJob, train_controllers
from irl_lens.training.discovery import DiscoveryJob
from irl_lens.training.loop import Job
from irl_lens.training.segment_starts import DiscoveredSwitches
from irl_lens.training.surprise import SurpriseJob
from tests.easy_grammar import EASY

HARD = register(replace(EASY, name="test-hard", train=((0, 1, 0), (1, 0, 1))))

TINY = Preset(
    name="tiny",
    world=PinpadConfig(size=3, colours=2, walls=1, horizon=20, grammar="test-easy"),
    base=BaseConfig(d_model=8, n_layers=2, n_heads=2, d_mlp=8),
    pretrain=PretrainConfig(steps=2, batch=8, chunk=4, lr=1e-2, clip=0.1),
    controllers=ControllersConfig(layers=(1,), rank=2, steps=2, batch=8, lr=1e-2),
    discovery=DiscoveryConfig(
        layer=1,
        history=4,
        sequence=4,
        hidden=4,
        latent=2,
        decoder_hidden=4,
        rank=2,
        steps=2,
        batch=8,
        lr=1e-2,
    ),
    switches=SwitchesConfig(steps=2, history=4, hidden=4, batch=8, lr=1e-2, reach=2),
    codes=CodesConfig(steps=2, history=4, hidden=4, latent=2, batch=8),
    internal_rl=InternalRLConfig(episodes=32, batch=16, lr=1e-2, width=4),
    raw_rl=RLConfig(episodes=64, batch=32, lr=1e-2),
    compile=CompileConfig(
        segments=3, rate=4.0, latent=2, hidden=4, width=4, steps=2, batch=8, lr=1e-2
    ),
    compile_rl=CodesRLConfig(episodes=64, batch=32, lr=1e-2, width=4),
    evaluation=EvaluationConfig(trajectories=64, rollouts=32, probe_iterations=30),
)

ALTERNATIVES = {
    "world": "size=4 colours=3 walls=2 horizon=5 grammar=test-hard observation=onehot",
    "base": "d_model=16 n_layers=3 n_heads=4 d_mlp=16 act_fn=gelu",
    "pretrain": "steps=3 batch=12 chunk=8 optimizer=muon lr=2e-2 weight_decay=0.5 betas=0.5,0.9 "
    "schedule=cosine warmup=3 targets=policy observation_weight=1 epsilon=0.3 clip=0.01 "
    "precision=bfloat16 uses=2 ahead=2",
    "controllers": "layers=2 label=visit kind=full rank=3 steps=3 batch=12 lr=2e-2 "
    "weight_decay=0.5 init=0.5 targets=policy schedule=cosine",
    "discovery": "layer=2 history=5 sequence=5 lookahead=2 stride=2 hidden=5 latent=3 "
    "decoder=linear "
    "decoder_hidden=5 rank=3 steps=3 batch=12 lr=2e-2 decoder_lr=1e-3 base_lr=1e-3 "
    "weight_decay=0.5 schedule=cosine alpha=0,0.5 log_sigma=-1 targets=policy gate=open "
    "epsilon=0.3",
    "switches": "steps=3 layer=2 history=5 hidden=5 batch=12 chunk=3 lr=2e-2 weight_decay=0.5 "
    "schedule=constant targets=actions share=0.5 reach=1",
    "codes": "steps=3 layer=2 history=5 hidden=5 latent=3 batch=12 lr=2e-2 decoder_lr=1e-2 "
    "weight_decay=0.5 schedule=constant alpha=0,0.5 log_sigma=-1 targets=actions "
    "epsilon=0.3 uses=2 chunk=3 refractory=2 explained=0.7",
    "internal_rl": "episodes=48 batch=32 share=8 lr=2e-2 weight_decay=0.5 clip=1e-3 epochs=2 "
    "entropy=0.1 temperature=0.5 solvable=false prefix_episodes=48 width=6 initial_std=2 "
    "final_std=0.5 start=posterior decoder=random switching=true",
    "raw_rl": "episodes=96 batch=16 share=8 lr=2e-2 weight_decay=0.5 clip=1e-3 epochs=2 "
    "entropy=0.1 temperature=0.5 solvable=false",
    "compile": "segments=2 rate=8 latent=3 hidden=5 width=5 temperature=0.5 kl_codes=1 "
    "kl_boundaries=1 steps=3 batch=12 lr=2e-2 weight_decay=0.5 schedule=cosine targets=policy",
    "compile_rl": "episodes=96 batch=16 share=8 lr=2e-2 weight_decay=0.5 clip=1e-3 epochs=2 "
    "entropy=0.1 temperature=0.5 solvable=false width=6 initial_std=2 final_std=0.5 "
    "start=posterior",
    "evaluation": "trajectories=128 rollouts=48 probe_iterations=1",
}
"""Another value of each setting, by part."""
BESIDE = {
    # Visits are told from subgoals where a subgoal has several.
    "controllers.label": ("world.grammar=paper-grid", "world.size=4", "world.colours=8"),
    "internal_rl.clip": ("internal_rl.epochs=3",),
    "raw_rl.clip": ("raw_rl.epochs=3",),
    "compile_rl.clip": ("compile_rl.epochs=3",),
    "discovery.stride": ("discovery.lookahead=2",),
    "discovery.gate": ("switches.steps=0", "codes.steps=0"),
    # More than a step or two has to count as surprising.
    "switches.targets": ("switches.share=0.5",),
    "switches.reach": ("switches.share=0.5",),
    "internal_rl.solvable": ("world.walls=3",),
    "raw_rl.solvable": ("world.walls=3",),
    "compile_rl.solvable": ("world.walls=3",),
}
"""What else has to be set for a setting to matter."""
CONTINUOUS = {"base.deviation", "base.components", "pretrain.uncertain"}
"""Settings of continuous actions only: tests/training/test_point_world.py and test_point_chain."""
CASES = [f"{part}.{one}" for part, all_of in ALTERNATIVES.items() for one in all_of.split()]
PLAYED = ("internal_rl", "raw_rl", "compile_rl", "evaluation")
"""Parts for which episodes are played, a second or two each."""


def marked(case: str) -> Any:
    slow = [pytest.mark.slow] * case.startswith(PLAYED)
    return pytest.param(case, marks=slow)


def test_every_setting_has_another_value() -> None:
    tried = {case.partition("=")[0] for case in CASES}
    assert settings_of(TINY).keys() == tried | CONTINUOUS


@pytest.mark.parametrize("part", [marked(part) for part in ALTERNATIVES])
def test_the_same_settings_make_the_same_result(part: str) -> None:
    assert MAKERS[part](TINY) == MAKERS[part].__wrapped__(TINY)


@pytest.mark.parametrize("case", [marked(case) for case in CASES])
def test_another_value_makes_another_result(case: str) -> None:
    key = case.partition("=")[0]
    made, beside = MAKERS[key.partition(".")[0]], BESIDE.get(key, ())
    one, other = (changed(TINY, settings) for settings in (beside, (*beside, case)))
    check_preset(other)
    assert one != other
    assert made(one) != made(other)


def parts(preset: Preset) -> tuple[Any, FastPath, Metacontroller]:
    """World, base and metacontroller as they are before they are trained."""
    world = make_world(preset.world)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = TrajectoryModel(preset.base, world.observation, world.actions)
        meta = Metacontroller(preset.discovery, preset.base.d_model)
    return world, FastPath(model.frozen()), meta.requires_grad_(False)


def trained(job: Job) -> str:
    """Trains a job to its end; says what came out."""
    for i in range(job.steps):
        job.step(i)
    return told(job.state())


def told(tensors: dict[str, Tensor], *more: object) -> str:
    digest = hashlib.sha256(repr(more).encode())
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {tuple(value.shape)}".encode() + value.numpy().tobytes())
    return digest.hexdigest()


@cache
def pretrained(preset: Preset) -> str:
    job = pretrain.PretrainJob(preset, 0)
    return trained(job) + str(job.floor)


@cache
def controlled(preset: Preset) -> str:
    world, fast, _ = parts(preset)
    return trained(ControllersJob(preset.controllers, world, fast, 0))


@cache
def discovered(preset: Preset) -> str:
    world, fast, _ = parts(preset)
    return trained(DiscoveryJob(preset.discovery, world, fast, 0))


@cache
def expected(preset: Preset) -> str:
    world, fast, _ = parts(preset)
    return trained(SurpriseJob(preset.switches, world, fast, 0))


@cache
def coded(preset: Preset) -> str:
    world, fast, meta = parts(preset)
    job = CodesJob(preset.codes, world, fast, DiscoveredSwitches(meta, 0.5), 0)
    weights = trained(job)
    job.meta.open_from(0.01)  # so that it opens at all
    return weights + str(job.measure(8))


@contextmanager
def begun(preset: Preset) -> Iterator[Run]:
    """A run whose base and metacontroller count as trained."""
    _, fast, meta = parts(preset)
    with TemporaryDirectory() as folder:
        run = Run.create(f"{folder}/run", replace(preset, codes=replace(preset.codes, steps=0)), 0)
        run.stage("base").finish(fast.model.weights(), {})
        run.stage("metacontroller").finish(meta.state_dict(), {})
        yield run


@cache
def internally(preset: Preset) -> str:
    with begun(preset) as run:
        job, _ = internal._train(run, Stage(run.folder / "prefix"), QuietProgress(), prefix=1)
        return told(job.state(), job.steps)


@cache
def by_actions(preset: Preset) -> str:
    with begun(preset) as run:
        raw.raw_rl(run, QuietProgress())
        return told(run.stage("raw-rl").weights(), run.stage("raw-rl").result)


@cache
def segmented(preset: Preset) -> str:
    return trained(CompileJob(preset.compile, make_world(preset.world), 0))


@cache
def by_options(preset: Preset) -> str:
    with begun(preset) as run:
        job = CompileJob(preset.compile, run.world, 0)
        run.stage("compile").finish(job.weights(), {})
        compile_rl(run, QuietProgress())
        return told(run.stage("compile-rl").weights(), run.stage("compile-rl").result)


@cache
def evaluated(preset: Preset) -> str:
    with begun(preset) as run:
        train_controllers(run, QuietProgress())
        raw.raw_rl(run, QuietProgress())
        probes = subgoal_probes(LoadedRun(run))
        results = [run.stage(name).result for name in ("controllers", "raw-rl")]
        return told({}, *results, [layer.accuracy.value for layer in probes.layers])


MAKERS = {
    "world": pretrained,
    "base": pretrained,
    "pretrain": pretrained,
    "controllers": controlled,
    "discovery": discovered,
    "switches": expected,
    "codes": coded,
    "internal_rl": internally,
    "raw_rl": by_actions,
    "compile": segmented,
    "compile_rl": by_options,
    "evaluation": evaluated,
}
