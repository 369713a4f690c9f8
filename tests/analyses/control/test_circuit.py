"""A circuit that is planted is found, and a controller that needs none recruits none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from irl_lens.analyses.control.circuit import Circuit, circuit, recruited
from irl_lens.analyses.control.on_off_runs import ALL, Switched
from irl_lens.analyses.control.part_shares import drawn_pvalue
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.config.schema import BaseConfig
from irl_lens.envs.spaces import DiscreteActions, ObservationSpec
from irl_lens.errors import UserError
from irl_lens.hooks import ControllerBank, LowRankController, VectorController
from irl_lens.models.base import TrajectoryModel
from irl_lens.runs.run import Run, find_run

WIDTH, ACTIONS = 24, 3
MASK = np.arange(9) < np.random.default_rng(0).integers(5, 10, 32)[:, None]
SEEN = np.random.default_rng(1).integers(4, size=(*MASK.shape, 1)).astype(np.int32)
LABELS = np.where(MASK, np.arange(32)[:, None] % 16, -1)
NAMES = [f"{i}" for i in range(16)]
AT = "blocks.0.hook_resid_post"


def random_model(layers: int = 3) -> TrajectoryModel:
    """An untrained model whose parts write much."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = BaseConfig(d_model=WIDTH, n_layers=layers, n_heads=2, d_mlp=8)
        spec = ObservationSpec(("sign",), (4,), (0,))
        model = TrajectoryModel(config, spec, DiscreteActions(ACTIONS)).frozen()
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return model


def direction(i: int) -> Tensor:
    """One of several that are orthogonal, and have no mean that a norm would take away."""
    return (
        torch.nn.functional.one_hot(torch.tensor([2 * i, 2 * i + 1]), WIDTH).float().diff(dim=0)[0]
    )


def planted_model() -> TrajectoryModel:
    """Heads that copy a direction each, L2H1 number 0, to number 1, which is all that is read."""
    model = random_model()
    hooked = model.hooked
    for block in hooked.blocks:
        for parameter in block.parameters():
            parameter.data.zero_()
        block.ln1.w.data.fill_(1)  # type: ignore[union-attr]
        block.ln2.w.data.fill_(1)  # type: ignore[union-attr]
    for (layer, head), i in {(1, 1): 0, (1, 0): 2, (2, 0): 3, (2, 1): 4}.items():
        attention = hooked.blocks[layer].attn
        attention.W_V.data[head, :, 0] = direction(i)  # type: ignore[union-attr]
        attention.W_O.data[head, 0] = direction(1)  # type: ignore[union-attr]
    hooked.unembed.W_U.data = direction(1)[:, None] * torch.tensor([1.0, 0.0, -1.0])
    return model


def bank_that_writes(i: int) -> ControllerBank:
    """Controllers that add much along a direction, to and fro."""
    sizes = 3.0 * (-1) ** torch.arange(len(NAMES))
    return ControllerBank(NAMES, VectorController(sizes[:, None] * direction(i), AT))


def found(model: TrajectoryModel, bank: ControllerBank, draws: int = 8) -> Circuit:
    return recruited(model.hooked, 1, bank, LABELS, SEEN, MASK, draws=draws)


def switched(model: TrajectoryModel, bank: ControllerBank) -> Switched:
    given = bank.labelled(torch.from_numpy(LABELS))
    return Switched.of(model.hooked, 1, given, SEEN, MASK)


def test_the_planted_head_and_no_other_part_is_recruited(tmp_path: Path) -> None:
    result = found(planted_model(), bank_that_writes(0))
    assert [share.name for share in result.recruited] == ["L2H1"]
    lost = {share.name: share.value.value for share in result.lost}
    # The later heads' norms feel the length of the stream, so the rest is small and not nothing.
    assert lost.pop("L2H1") == pytest.approx(1, abs=0.05)
    np.testing.assert_allclose(list(lost.values()), 0, atol=0.05)
    assert result.every.value.value == pytest.approx(1, abs=0.05)
    written = {share.name: share.value.value for share in result.written}
    assert written["L2H1"] > 0.9 and written["controller"] == pytest.approx(0, abs=1e-4)
    assert "recruited beyond random controllers: L2H1" in result.claims()[0].sentence
    assert result.claims()[0].p < 0.05
    assert "Carrying more than under 8 random controllers: L2H1." in result.caption()
    assert len(result.to_dataframe()) == len(result.written) + len(result.lost) + 1
    assert len(result.figure().to_dict()["data"]) == 4 and result.save(tmp_path / "it").exists()


def test_a_controller_that_writes_to_the_logits_recruits_nothing() -> None:
    result = found(planted_model(), bank_that_writes(1))
    assert result.recruited == ()
    assert abs(result.every.value.value) < 0.1
    assert {s.name: s.value.value for s in result.written}["controller"] > 0.9
    assert "random controllers: none." in result.caption()


def test_random_controllers_recruit_no_more_than_others() -> None:
    model, names = random_model(), 0
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        bank = ControllerBank.trainable(
            LowRankController, NAMES, WIDTH, AT, rank=4, init=0.5, generator=generator
        )
        names += len(found(model, bank.requires_grad_(False), draws=6).recruited)
    assert names <= 1


def test_the_written_parts_add_up_to_the_effect() -> None:
    generator = torch.Generator().manual_seed(0)
    bank = ControllerBank.trainable(
        LowRankController, NAMES, WIDTH, AT, rank=4, init=0.5, generator=generator
    )
    run = switched(random_model(), bank.requires_grad_(False))
    names, parts = run.written()
    np.testing.assert_allclose(parts.sum(axis=1), run.effect, rtol=1e-4)
    assert (run.effect > 0).all() and names[:2] == ("before it", "controller")
    assert names[2:] == ("L2H0", "L2H1", "L2 MLP", "L3H0", "L3H1", "L3 MLP")


def test_what_is_lost_is_what_a_plain_loop_finds() -> None:
    generator = torch.Generator().manual_seed(1)
    bank = ControllerBank.trainable(
        LowRankController, NAMES, WIDTH, AT, rank=4, init=0.5, generator=generator
    )
    model = random_model()
    run = switched(model, bank.requires_grad_(False))
    names, parts = run.lost()

    def as_off(x: Tensor, hook) -> Tensor:
        x = x.clone()
        x[:, :, 0] = run.off[hook.name][:, :, 0]
        return x

    with bank.labelled(torch.from_numpy(LABELS)).attached(model.hooked), torch.no_grad():
        logits = model.hooked.run_with_hooks(
            torch.from_numpy(SEEN), fwd_hooks=[("blocks.2.attn.hook_z", as_off)]
        )
    up, down = run.pushed
    gone = (run.logits[0] - logits[torch.from_numpy(MASK)]).double()
    tokens = torch.arange(len(gone))
    table = np.zeros(MASK.shape)
    table[MASK] = (gone[tokens, up] - gone[tokens, down]).numpy()
    np.testing.assert_allclose(parts[:, names.index("L3H0")], table.sum(axis=1), atol=1e-4)
    assert names[-1] == ALL


def test_one_more_draw_is_likely_and_one_far_off_is_not() -> None:
    rng = np.random.default_rng(0)
    p = [drawn_pvalue(float(x[0]), x[1:]) for x in rng.normal(size=(2_000, 7))]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.015)
    assert drawn_pvalue(9.0, rng.normal(size=6)) < 0.001
    assert drawn_pvalue(0.0, np.zeros(3)) == 1 and drawn_pvalue(0.5, np.zeros(3)) == 0


def test_what_cannot_be_attributed_is_refused(
    few_demonstrations: Callable[[Run], LoadedRun],
) -> None:
    zero = ControllerBank(NAMES, VectorController(torch.zeros(len(NAMES), WIDTH), AT))
    with pytest.raises(UserError, match="layer 1 change no logit"):
        found(random_model(), zero)
    with pytest.raises(ValueError, match="1 random controllers; take two"):
        found(random_model(), zero, draws=1)
    with pytest.raises(UserError, match="no controllers at layer 99"):
        circuit(few_demonstrations(find_run("grid")), layer=99)


@pytest.mark.parametrize("source", ["controllers", "codes"])
def test_on_the_bundled_model(few_demonstrations: Callable[[Run], LoadedRun], source: str) -> None:
    result = circuit(few_demonstrations(find_run("grid")), source, episodes=8, draws=2)  # type: ignore
    table = result.to_dataframe()
    assert not table.isna().any().any() and result.effect.low > 0
    shares = table[table.attribution == "written"].share
    assert shares.sum() == pytest.approx(1, abs=1e-3)
