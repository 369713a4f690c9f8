"""Settings at the ends of their ranges: the whole chain ends, with numbers, or says why not."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from irl_lens import cli
from irl_lens.runs.run import Run

pytestmark = pytest.mark.slow

LIMIT = 600
"""Seconds that a chain may take."""
SMALL = (
    *("pretrain.steps=3", "controllers.steps=3", "discovery.steps=3", "codes.steps=3"),
    *("internal_rl.episodes=64", "internal_rl.batch=32", "raw_rl.episodes=64", "raw_rl.batch=32"),
    *("evaluation.trajectories=64", "evaluation.rollouts=32"),
)
RUN = """
pretrain.steps=0
controllers.steps=0
discovery.steps=0
codes.steps=0
internal_rl.episodes=0
raw_rl.episodes=0
internal_rl.episodes=1
base.d_model=1 base.n_heads=1 controllers.rank=1 discovery.rank=1
base.n_heads=32
base.d_mlp=1
base.n_layers=1
pretrain.batch=1 pretrain.chunk=1
controllers.batch=1
discovery.batch=1
codes.batch=1
internal_rl.batch=1 internal_rl.episodes=2
raw_rl.batch=1 raw_rl.episodes=2
pretrain.lr=1e-300
pretrain.betas=0,0
pretrain.observation_weight=1e6
pretrain.warmup=1000000000
pretrain.clip=1e-30
pretrain.epsilon=0.5
controllers.init=0
controllers.init=1000
discovery.latent=1 codes.latent=1
discovery.history=1 discovery.sequence=1 discovery.hidden=1 discovery.decoder_hidden=1
codes.history=1 codes.hidden=1
discovery.log_sigma=-20 codes.log_sigma=-20
discovery.log_sigma=10 codes.log_sigma=10
discovery.alpha=0,0 codes.alpha=0,0
discovery.alpha=0,1e6 codes.alpha=0,1e-300,1,1e-300
discovery.lookahead=1024
discovery.decoder=linear discovery.base_lr=1e-3
internal_rl.width=1
internal_rl.initial_std=1e-6
internal_rl.initial_std=1000
internal_rl.temperature=1e-3 raw_rl.temperature=1e-3
internal_rl.temperature=1e3 raw_rl.temperature=1e3
internal_rl.epochs=1000
internal_rl.clip=1e-30 internal_rl.entropy=1e6
internal_rl.solvable=false raw_rl.solvable=false
evaluation.trajectories=1
evaluation.probe_iterations=1
world.horizon=12
world.horizon=200
world.walls=0
world.walls=8
world.size=8 world.colours=32
world.observation=onehot
controllers.kind=full
controllers.kind=vector
controllers.label=visit
"""
"""What is legal and has to end well."""
DIVERGE = """
pretrain.lr=1e38
controllers.lr=1e38
discovery.lr=1e30
codes.lr=1e30
internal_rl.lr=1e30
raw_rl.lr=1e30
pretrain.weight_decay=1e6
evaluation.rollouts=1
"""
"""What is legal and may end in numbers that are none, or with nothing to measure: which has to be
said."""


@contextmanager
def limited() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"not done after {LIMIT} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def run(folder: Path, settings: str) -> None:
    """The command, on the smallest chain but for the settings given."""
    given = settings.split()
    keys = {setting.partition("=")[0] for setting in given}
    small = [setting for setting in SMALL if setting.partition("=")[0] not in keys]
    with limited():
        cli.main(["run", "smoke", "--out", str(folder), "--set", *small, *given])


def finite(folder: Path) -> bool:
    stages = Run.open(folder).finished().values()
    return all(bool(w.isfinite().all()) for stage in stages for w in stage.weights().values())


@pytest.mark.parametrize("settings", RUN.split("\n")[1:-1])
def test_the_chain_ends_with_numbers(tmp_path: Path, settings: str) -> None:
    run(tmp_path / "run", settings)
    assert finite(tmp_path / "run")
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.parametrize("settings", DIVERGE.split("\n")[1:-1])
def test_what_ends_without_numbers_says_so(
    tmp_path: Path, settings: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        run(tmp_path / "run", settings)
    except SystemExit as stop:
        assert stop.code == 2
        assert "irl-lens: " in capsys.readouterr().err
    assert finite(tmp_path / "run")
