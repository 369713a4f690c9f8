"""Every kind of job goes on from a file with the same figures, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from irl_lens.config.compile import CompileConfig
from irl_lens.config.schema import CodesConfig, Preset
from irl_lens.envs.protocol import World
from irl_lens.files.tensors import load_tensors, save_tensors
from irl_lens.models.fast import FastPath
from irl_lens.models.metacontroller import Metacontroller
from irl_lens.training.codes import CodesJob
from irl_lens.training.compile import CompileJob
from irl_lens.training.controllers import ControllersJob
from irl_lens.training.discovery import DiscoveryJob
from irl_lens.training.loop import Job
from irl_lens.training.pretrain import PretrainJob
from irl_lens.training.segment_starts import DiscoveredSwitches

STEPS = 4


def _makers(small: Preset, world: World, base: FastPath) -> dict[str, Callable[[], Job]]:
    def pretrain(optimizer: str) -> Job:
        config = replace(small.pretrain, steps=STEPS, batch=10, optimizer=optimizer)
        return PretrainJob(replace(small, pretrain=config), seed=0)

    def discovery(base_lr: float) -> Job:
        own = FastPath(deepcopy(base.model))
        return DiscoveryJob(replace(small.discovery, base_lr=base_lr), world, own, seed=0)

    def codes() -> Job:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            discovered = Metacontroller(small.discovery, base.model.d_model).requires_grad_(False)
        config = CodesConfig(steps=STEPS, history=6, hidden=8, latent=3, batch=10)
        return CodesJob(config, world, base, DiscoveredSwitches(discovered, 0.5), seed=0)

    compile = CompileConfig(steps=STEPS, segments=3, hidden=6, width=5, latent=2, batch=10)
    return {
        "adamw": lambda: pretrain("adamw"),
        "muon": lambda: pretrain("muon"),
        "controllers": lambda: ControllersJob(small.controllers, world, base, seed=0),
        "discovery": lambda: discovery(0.0),
        "cotraining": lambda: discovery(1e-2),
        "codes": codes,
        "compile": lambda: CompileJob(compile, world, seed=0),
    }


@pytest.mark.parametrize(
    "kind", ["adamw", "muon", "controllers", "discovery", "cotraining", "codes", "compile"]
)
def test_resumed_figures_are_those_of_an_uninterrupted_training(
    small: Preset, world: World, base: FastPath, tmp_path: Path, kind: str
) -> None:
    make = _makers(small, world, base)[kind]
    straight = make()
    expected = [_figures(straight, i) for i in range(STEPS)]
    found, job = [], make()
    for i in range(STEPS):
        found.append(_figures(job, i))
        save_tensors(tmp_path / "state.safetensors", job.state())
        job = make()
        job.load(load_tensors(tmp_path / "state.safetensors")[0])
    assert found == expected
    last, state = straight.state(), job.state()
    assert last.keys() == state.keys()
    assert all(torch.equal(state[name], last[name]) for name in last)


def _figures(job: Job, i: int) -> dict[str, float]:
    return {name: value for name, value in job.step(i).items() if name != "tokens_per_second"}
