"""A run on another device: its parts, its training, and going on where it was begun elsewhere."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import torch
from torch import nn

import irl_lens
from irl_lens.commands.chain import run_stage
from irl_lens.config.presets import preset
from irl_lens.config.schema import Preset, SwitchesConfig
from irl_lens.progress import QuietProgress
from irl_lens.runs.chain import STAGES
from irl_lens.runs.run import Run
from tests.elsewhere import elsewhere

WITH_A_CARD = (
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
)


@contextmanager
def a_card() -> Iterator[torch.device]:
    """The graphics card."""
    yield torch.device("cuda", 0)


Lent = Callable[[], AbstractContextManager[torch.device]]
DEVICES = [
    pytest.param(elsewhere, id="elsewhere"),
    pytest.param(a_card, id="card", marks=WITH_A_CARD),
]
QUICK = (
    *(("base", "there"), ("controllers", "here"), ("metacontroller", "there")),
    *(("switches", "there"), ("codes", "here")),
)
"""Stages, and where they are begun, that are tried each time."""
BEGUN = [
    pytest.param(*case, marks=() if case in QUICK else pytest.mark.slow)
    for case in product(STAGES, ("here", "there"))
]


@pytest.fixture(scope="module")
def tiny() -> Preset:
    """A preset of a few steps a stage, all of them trained by small steps."""
    smoke = preset("smoke")
    return replace(
        smoke,
        pretrain=replace(smoke.pretrain, steps=3, batch=16, chunk=8),
        controllers=replace(smoke.controllers, steps=3, batch=16),
        discovery=replace(smoke.discovery, steps=3),
        codes=replace(smoke.codes, steps=3),
        internal_rl=replace(smoke.internal_rl, episodes=96, batch=32, prefix_episodes=32),
        raw_rl=replace(smoke.raw_rl, episodes=96, batch=32),
        evaluation=replace(smoke.evaluation, trajectories=16, rollouts=32),
    )


class StopAfter(QuietProgress):
    """Presses Ctrl-C after a step."""

    def __init__(self, step: int) -> None:
        self.last = step

    def update(self, step: int, **shown: float) -> None:
        if step == self.last:
            signal.raise_signal(signal.SIGINT)


def modules(run: Run) -> Mapping[str, nn.Module]:
    """All parts of a run that have weights."""
    names = ("base", "raw", "discovered", "metacontroller", "policy")
    banks = {f"bank {layer}": bank for layer, bank in run.controllers.items()}
    return {name: getattr(run, name) for name in names} | banks


@pytest.mark.parametrize("lent", DEVICES)
def test_all_parts_of_a_run_are_on_its_device(smoke_run: Run, lent: Lent) -> None:
    with lent() as device:
        there = smoke_run.on(device)
        assert there.on(device) is there and there.fresh().device == device
        here = modules(smoke_run)
        for name, module in {**modules(there), "pretrained": there.pretrained}.items():
            tensors = [*module.parameters(), *module.buffers()]
            assert {x.device.type for x in tensors} == {device.type}, name
            own = here.get(name, here["base"]).state_dict()
            assert all(torch.equal(x.cpu(), own[k]) for k, x in module.state_dict().items())
        assert there.fast.device.type == device.type
        assert smoke_run.device == smoke_run.fast.device == torch.device("cpu")
        episodes = smoke_run.world.demonstrate(4, seed=0)
        traces = [run.encode(episodes, seed=0) for run in (there, smoke_run)]
        assert traces[0].z == pytest.approx(traces[1].z, abs=1e-3)


@pytest.mark.parametrize("lent", DEVICES)
@pytest.mark.parametrize(("stage", "begun"), BEGUN)
def test_a_stage_goes_on_on_another_device(
    smoke_run: Run, tiny: Preset, tmp_path: Path, stage: str, begun: str, lent: Lent
) -> None:
    """The same draws and nearly the same numbers as all on the processor."""
    if stage == "switches":
        tiny = replace(tiny, switches=SwitchesConfig(steps=3, batch=16))
    expected = _trained_before(smoke_run, tiny, tmp_path / "here", stage)
    run_stage(stage, expected, QuietProgress())
    found = _trained_before(smoke_run, tiny, tmp_path / "run", stage)
    with lent() as device:
        first, then = (found, found.on(device)) if begun == "here" else (found.on(device), found)
        with pytest.raises(KeyboardInterrupt, match="stopped after step 2"):
            run_stage(stage, first, StopAfter(2))
        run_stage(stage, then, QuietProgress())
    assert found.stage(stage).made_with()["device"].split(":")[0] == then.device.type
    # A card adds up in another order, and Adam makes a whole step, a thousandth or two, of what is
    # rounding alone.
    near = 5e-4 if lent is elsewhere else 1e-2
    weights, others = found.stage(stage).weights(), expected.stage(stage).weights()
    assert weights.keys() == others.keys()
    apart = {name: float((weights[name] - x).abs().max()) for name, x in others.items()}
    assert max(apart.values()) < near, apart
    result = {n: x for n, x in expected.stage(stage).result.items() if isinstance(x, float)}
    again = {name: found.stage(stage).result[name] for name in result}
    assert again == pytest.approx(result, rel=5 * near, abs=5 * near, nan_ok=True)


def _trained_before(finished: Run, tiny: Preset, folder: Path, stage: str) -> Run:
    """A run in which the stages before one are done."""
    run = Run.create(folder, tiny, seed=0)
    before = STAGES[: STAGES.index(stage)]
    for name in (name for name in before if (finished.folder / name).is_dir()):
        shutil.copytree(finished.folder / name, folder / name)
    return run


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
def test_the_smoke_chain_runs_on_a_card(tmp_path: Path) -> None:
    run = irl_lens.run("smoke", out=tmp_path / "run", device="cuda")
    assert tuple(run.finished()) == run.chain and (run.folder / "report.html").is_file()
    assert torch.cuda.max_memory_allocated() > 0
    for name, stage in run.finished().items():
        assert stage.made_with()["device"].startswith("cuda:"), name
    here = irl_lens.train("base", "smoke", out=tmp_path / "here", device="cpu")
    nll = [each.stage("base").result["nll"] for each in (run, here)]
    assert nll[0] == pytest.approx(nll[1], rel=0.02)
    again = irl_lens.load(run.folder, device="cpu")
    assert again.base.hooked.unembed.W_U.device == torch.device("cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
def test_the_model_in_the_box_measures_the_same_on_a_card() -> None:
    run = irl_lens.load("grid", device="cuda")
    expected = {name: x for name, x in run.evaluation.items() if name != "run.minutes"}
    found = irl_lens.evaluate(run)
    counts = {name for name in expected if name.endswith(("subgoals", "visits", "_layer"))}
    assert {n: found[n] for n in expected.keys() - counts} == pytest.approx(
        {n: expected[n] for n in expected.keys() - counts}, abs=0.05
    )
    assert {n: found[n] for n in counts} == pytest.approx({n: expected[n] for n in counts}, abs=1.0)
    for name in ("base.nll", "gate.f1", "codes.identity"):
        assert found[name] == pytest.approx(expected[name], abs=5e-3), name
