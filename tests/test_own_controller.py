"""A kind of controller of one's own, one file: trained, saved, exported, analysed as any other."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from irl_lens.analyses.atlas.subjects import bank_subjects
from irl_lens.analyses.control.by_rank import control_by_rank
from irl_lens.commands.chain import run_stage
from irl_lens.config.presets import preset
from irl_lens.envs.registry import VARIABLE, PinpadConfig, import_user_modules
from irl_lens.errors import UserError
from irl_lens.hooks import (
    Controller,
    ControllerBank,
    FullController,
    VectorController,
    controller_kind,
    controller_kinds,
    export_fwd_hooks,
    load,
    save,
)
from irl_lens.models.base import TrajectoryModel
from irl_lens.progress import QuietProgress
from irl_lens.runs.run import Run

FILE = Path(__file__).with_name("gain_controller.py")
HOOK = "blocks.1.hook_resid_post"
SMOKE = preset("smoke")
GAIN = replace(
    SMOKE,
    world=PinpadConfig(size=4, colours=4, walls=1, horizon=20, grammar="paper-ant"),
    controllers=replace(SMOKE.controllers, kind="gain", layers=(1,), steps=2, batch=16),
    evaluation=replace(SMOKE.evaluation, trajectories=16, rollouts=8),
)


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Kinds that become known in a test are known no longer after it."""
    monkeypatch.setattr("irl_lens.hooks.controllers.controller._KINDS", controller_kinds())
    yield
    sys.modules.pop(FILE.stem, None)


@pytest.fixture
def gain(forgotten: None, monkeypatch: pytest.MonkeyPatch) -> type[Controller]:
    """The kind, from the file that the user names."""
    monkeypatch.setenv(VARIABLE, str(FILE))
    import_user_modules()
    return controller_kind("gain")


@pytest.fixture
def bank(gain: type[Controller]) -> ControllerBank:
    bank = ControllerBank.trainable(gain, "abc", 8, HOOK)
    torch.nn.init.normal_(bank.stack.tensors()["s"], generator=torch.Generator().manual_seed(0))
    return bank.requires_grad_(False)


def test_what_it_does_not_say_follows_from_its_change(bank: ControllerBank) -> None:
    s, x, labels = bank.stack.tensors()["s"], torch.randn(2, 4, 8), torch.randint(-1, 3, (2, 4))
    expected = x + torch.where((labels >= 0)[..., None], s[labels], 0) * x
    for selected in (bank.labelled(labels), bank.select(labels)):
        torch.testing.assert_close(selected(x), expected)
    weights = torch.rand(2, 4, 3)
    torch.testing.assert_close(bank.stack.mixture(x, weights), weights @ s * x)
    torch.testing.assert_close(bank.stack.matrix, torch.diag_embed(s))
    torch.testing.assert_close(bank["b"].spectrum.values, s[1].abs().sort(descending=True).values)
    torch.testing.assert_close(bank["b"].factored.AB, s[1].diag())
    cosine = torch.cosine_similarity(s[0], s[1], dim=0)
    assert dict(bank.nearest("a"))["b"] == pytest.approx(float(cosine), abs=1e-5)
    assert bank.stack.n_weights(8, rank=3) == 8 and bank.stack.title(3) == "gain"


def test_its_null_changes_the_stream_by_as_much_elsewhere(bank: ControllerBank) -> None:
    x = torch.randn(5, 3, 8)
    true, null = (one.labelled(torch.zeros(1, 3).long()).delta(x) for one in (bank, bank.null()))
    torch.testing.assert_close(true.norm(dim=-1), null.norm(dim=-1))
    assert not torch.allclose(true, null, atol=0.1)


def test_it_is_saved_and_exported(
    bank: ControllerBank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, x = save(bank, tmp_path), torch.randn(2, 4, 8)
    again = load(file)
    assert isinstance(again, ControllerBank) and type(again.stack) is type(bank.stack)
    assert torch.equal(again["c"](x), bank["c"](x))
    script = export_fwd_hooks(bank, tmp_path / "plain")
    [(hook_name, control)] = runpy.run_path(str(script))["fwd_hooks"]("c")
    torch.testing.assert_close(control(x, hook=None), bank["c"](x))
    assert hook_name == HOOK
    others = {name: kind for name, kind in controller_kinds().items() if name != "gain"}
    monkeypatch.setattr("irl_lens.hooks.controllers.controller._KINDS", others)
    with pytest.raises(ValueError, match=r"holds a GainController; .* import the module"):
        load(file)


def test_a_run_is_trained_with_it_and_analysed(
    forgotten: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=rf"kind: no kind of controller 'gain' .*{VARIABLE}=FILE"):
        Run.create(tmp_path / "run", GAIN, seed=0)
    monkeypatch.setenv(VARIABLE, str(FILE))
    run = Run.create(tmp_path / "run", GAIN, seed=0)
    base = TrajectoryModel(GAIN.base, run.world.observation, run.world.actions)
    run.stage("base").finish(base.weights(), {})
    run_stage("controllers", run, QuietProgress())
    bank = Run.open(run.folder).bank(1)
    assert type(bank.stack).__name__ == "GainController"
    assert bank.stack.tensors()["s"].abs().sum(-1).gt(0).all()
    vector, own = control_by_rank([run], episodes=8, rollouts=8).sizes
    assert [(size.name, size.numbers) for size in (vector, own)] == [
        ("mean difference", 32),
        ("gain", 32),
    ]
    assert own.control.gap_closed.value != 0 and not own.constant
    assert own.control.gap_closed != own.control.random_gap_closed
    subject = bank_subjects(bank)[0]
    placebo = subject.placebo(torch.Generator().manual_seed(0))
    torch.testing.assert_close(placebo.spectrum.values, subject.spectrum.values)


def test_names_are_of_one_kind_each(gain: type[Controller]) -> None:
    for name, kind in (("GainController", "other"), ("Other", "gain"), ("FullController", "mine")):
        with pytest.raises(ValueError, match="give yours another name and kind"):
            type(name, (VectorController,), {}, kind=kind)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="take letters, digits, - and _"):
        type("Other", (VectorController,), {}, kind="a b")  # type: ignore[call-overload]
    assert list(controller_kinds()) == ["full", "low-rank", "vector", "gain"]
    assert controller_kind("full") is FullController


def test_a_class_that_is_made_anew_takes_the_place_of_the_old(forgotten: None) -> None:
    def cell() -> type[Controller]:
        class Again(VectorController, kind="again"):
            pass

        return Again

    first, second = cell(), cell()
    assert controller_kind("again") is second is not first
