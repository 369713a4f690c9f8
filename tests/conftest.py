"""Shared by all tests: checked annotations, and a run whose whole chain was trained."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import transformer_lens  # noqa: F401  (imported under the hook, it would be compiled afresh)

import tests.checked  # noqa: F401

if TYPE_CHECKING:
    from irl_lens.runs.run import Run

# Elsewhere too: what a test compares with was made on a processor. Tests of graphics cards say so.
os.environ["IRL_LENS_DEVICE"] = "cpu"


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of the smoke preset with a few steps a stage; do not write to it."""
    from irl_lens.commands.chain import run_stage
    from irl_lens.config.presets import preset
    from irl_lens.progress import QuietProgress
    from irl_lens.runs.run import Run

    smoke = preset("smoke")
    small = replace(
        smoke,
        pretrain=replace(smoke.pretrain, steps=30),
        controllers=replace(smoke.controllers, steps=15),
        discovery=replace(smoke.discovery, steps=15),
        internal_rl=replace(smoke.internal_rl, episodes=96, batch=32),
        raw_rl=replace(smoke.raw_rl, episodes=96, batch=32),
    )
    run = Run.create(tmp_path_factory.mktemp("smoke") / "run", small, seed=0)
    for name in run.chain:
        run_stage(name, run, QuietProgress())
    return run
