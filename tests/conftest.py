"""Shared by all tests: a run whose whole chain was trained, as small as can be."""

from __future__ import annotations

from dataclasses import replace
from pkgutil import resolve_name

import pytest

from irl_lens import cli
from irl_lens.presets import preset
from irl_lens.progress import QuietProgress
from irl_lens.runs import Run


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of the smoke preset with a few steps a stage; do not write to it."""
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
    for stage in cli.STAGES.values():
        resolve_name(stage)(run, QuietProgress())
    return run
