"""The chain on a graphics card: the same run, trained, measured and continued on either device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

import irl_lens
from irl_lens.config.presets import preset
from irl_lens.config.schema import Preset
from irl_lens.runs.run import Run

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
]


def small() -> Preset:
    """The smoke preset with a few steps a stage."""
    smoke = preset("smoke")
    return replace(
        smoke,
        pretrain=replace(smoke.pretrain, steps=30),
        controllers=replace(smoke.controllers, steps=15),
        discovery=replace(smoke.discovery, steps=15),
        internal_rl=replace(smoke.internal_rl, episodes=96, batch=32),
        raw_rl=replace(smoke.raw_rl, episodes=96, batch=32),
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose whole chain was trained on the card."""
    out = tmp_path_factory.mktemp("card") / "run"
    return irl_lens.run(small(), out=out, device="cuda")


def test_the_whole_chain_is_trained_and_reported(trained: Run) -> None:
    assert list(trained.finished()) == list(trained.chain)
    assert trained.base.hooked.W_E.is_cuda and trained.policy is not None
    assert (trained.folder / "report.html").is_file()
    losses = [row["nll"] for row in trained.stage("base").metrics()]
    assert losses[-1] < losses[0]


def test_what_was_trained_there_is_the_same_here(trained: Run) -> None:
    here = irl_lens.load(trained.folder, "cpu")
    seen = torch.as_tensor(here.world.demonstrate(8, seed=0).observations)
    with torch.no_grad():
        torch.testing.assert_close(
            trained.base.hooked(seen.cuda()).cpu(), here.base.hooked(seen), atol=1e-3, rtol=1e-3
        )


@pytest.mark.parametrize(("first", "then"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_run_goes_on_on_the_other_device(first: str, then: str, tmp_path: Path) -> None:
    for stage, device in (("base", first), ("controllers", then), ("metacontroller", first)):
        run = irl_lens.train(stage, small(), out=tmp_path / "run", device=device)
        assert run.device.type == device
    assert set(run.finished()) == {"base", "controllers", "metacontroller"}


def test_the_bundled_model_measures_the_same_on_either() -> None:
    here, there = (irl_lens.load("grid", device) for device in ("cpu", "cuda"))
    one, other = (irl_lens.analyze(run, "floor").to_dataframe() for run in (here, there))
    numbers = one.select_dtypes("number").columns
    assert ((one[numbers] - other[numbers]).abs() < 5e-3).to_numpy().all()
