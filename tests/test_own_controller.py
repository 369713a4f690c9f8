"""A kind of controller that a user adds is one class: all else asks it, nothing else knows it."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.registry import ANALYSES
from irl_lens.commands.chain import run_stage
from irl_lens.config.validation import check_preset
from irl_lens.errors import UserError
from irl_lens.hooks import Controller, FullController, export_fwd_hooks, load, save
from irl_lens.hooks.controllers import controller
from irl_lens.progress import QuietProgress
from irl_lens.runs.run import Run

if TYPE_CHECKING:
    from irl_lens.config.schema import Preset


def define() -> type[Controller]:
    """What a user writes, e <- e + s * e, coordinate by coordinate."""

    class GainController(Controller, kind="gain"):
        s: Tensor
        item_axes = 1

        def __init__(self, s: Float[Tensor, "*lead d_model"], hook_name: str) -> None:
            super().__init__(hook_name)
            self.hold("s", s)

        @classmethod
        def trainable(
            cls,
            d_model: int,
            hook_name: str,
            *,
            rank: int = 16,
            init: float = 0.1,
            lead: tuple[int, ...] = (),
            generator: torch.Generator | None = None,
        ) -> Self:
            s = torch.randn(*lead, d_model, generator=generator) * init
            return cls(nn.Parameter(s), hook_name)

        @property
        def d_model(self) -> int:
            return self.s.shape[-1]

        def delta(self, x: Shaped[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
            return self.aligned(self.s, x) * x

        def null(self, generator: torch.Generator) -> Controller:
            turned = self.rotations(generator) @ torch.diag_embed(self.s.detach())
            return FullController(turned, self.hook_name)

    return GainController


@pytest.fixture(autouse=True)
def kinds(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test adds is known for its length alone."""
    monkeypatch.setattr(controller, "_KINDS", dict(controller._KINDS))
    yield


@pytest.fixture
def gains(smoke_run: Run) -> Preset:
    """The run's settings, with controllers of that kind."""
    smoke = smoke_run.preset
    return replace(smoke, controllers=replace(smoke.controllers, kind="gain", steps=3))


def test_its_matrix_is_read_off_what_it_does() -> None:
    s = torch.tensor([[2.0, -1.0, 0.0], [0.5, 0.0, 3.0]])
    two = define()(s, "hook")  # type: ignore[call-arg]
    torch.testing.assert_close(two.matrix, torch.diag_embed(s))
    torch.testing.assert_close(two.spectrum.values[0], torch.tensor([2.0, 1.0, 0.0]))
    torch.testing.assert_close(two.inner(two), s.square().sum(-1))
    x, weights = torch.randn(4, 3), torch.rand(4, 2)
    torch.testing.assert_close(two.mixture(x, weights), weights @ s * x)
    torch.testing.assert_close(torch.as_tensor(two.at(0).factored.AB), torch.diag(s[0]))
    other = two.null(torch.Generator().manual_seed(0))
    torch.testing.assert_close(other.spectrum.norm, two.spectrum.norm)
    assert (other.matrix - two.matrix).norm() > 1


def test_it_is_trained_measured_saved_and_exported(
    smoke_run: Run, gains: Preset, tmp_path: Path
) -> None:
    kind = define()
    run = Run.create(tmp_path / "run", gains, seed=0)
    run.take_base(smoke_run)
    run_stage("controllers", run, QuietProgress())
    run = Run.open(run.folder)
    layer = gains.controllers.layers[0]
    bank = run.bank(layer)
    name = bank.names[0]
    assert type(bank[name]) is kind and bank.names == run.world.subgoal_names

    loaded = LoadedRun(run)
    loaded.sizes = replace(loaded.sizes, trajectories=48)
    result = ANALYSES["control"].of(loaded)
    assert result.caption() and len(result.to_dataframe())

    save(bank, tmp_path / "gains")
    x = torch.randn(2, 3, gains.base.d_model)
    assert torch.equal(load(tmp_path / "gains")[name](x), bank[name](x))  # type: ignore[index]
    script = runpy.run_path(str(export_fwd_hooks(bank, tmp_path / "gains.py")))
    ((at, control),) = script["fwd_hooks"](name)
    assert at == bank.hook_name
    torch.testing.assert_close(control(x, hook=None), bank[name](x))

    controller._KINDS.pop("gain")
    with pytest.raises(ValueError, match=r"the file holds a GainController; .* import the module"):
        load(tmp_path / "gains")


def test_one_that_is_not_known_is_refused(gains: Preset) -> None:
    with pytest.raises(UserError, match=r"controllers\.kind: no kind of controller 'gain'"):
        check_preset(gains)
    define()
    check_preset(gains)


def test_a_cell_that_is_run_again_defines_it_again_and_another_may_not_take_its_name() -> None:
    define()
    again = define()
    assert controller.controller_kind("gain") is again
    with pytest.raises(ValueError, match="give yours another name and kind"):

        class OtherController(Controller, kind="gain"):
            """Of the same kind."""
