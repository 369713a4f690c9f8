"""What holds of every intervention: exactness off its address, decoding, gradients, dtypes."""

from __future__ import annotations

import copy

import pytest
import torch

from irl_lens.hooks import (
    AblatePatch,
    CodeController,
    ControllerBank,
    FullController,
    HypernetworkDecoder,
    LowRankController,
    Mask,
    ReplacePatch,
    Scale,
    Sequence,
    Sum,
    TransplantPatch,
    VectorController,
    starting_at,
)

D, ROWS, STEPS = 16, 3, 6
HOOK = "blocks.1.hook_resid_post"


def zero(*shape: int) -> torch.Tensor:
    return torch.zeros(*shape)


ZEROS = {
    "low rank": lambda: LowRankController(torch.randn(4, D), zero(D, 4), HOOK),
    "low rank per step": lambda: LowRankController(
        zero(ROWS, STEPS, 4, D), torch.randn(ROWS, STEPS, D, 4), HOOK
    ),
    "full": lambda: FullController(zero(ROWS, D, D), HOOK),
    "vector": lambda: VectorController(zero(D), HOOK),
    "selected": lambda: ControllerBank.trainable(LowRankController, "ab", D, HOOK, rank=4).select(
        torch.full((ROWS, STEPS), -1)
    ),
    "labelled": lambda: ControllerBank.trainable(FullController, "ab", D, HOOK).labelled(
        torch.full((ROWS, STEPS), -1)
    ),
    "codes": lambda: CodeController(HypernetworkDecoder(5, 8, D, 4), zero(1, STEPS, 5), HOOK),
    "scale": lambda: Scale(VectorController(torch.randn(D), HOOK), 0.0),
    "sum": lambda: Sum(VectorController(zero(D), HOOK), FullController(zero(D, D), HOOK)),
    "sequence": lambda: Sequence(
        VectorController(zero(D), HOOK), VectorController(torch.randn(D), HOOK), STEPS
    ),
    "mask": lambda: Mask(VectorController(torch.randn(D), HOOK), steps=[]),
    "patch": lambda: AblatePatch(HOOK, rows=[]),
}


@pytest.mark.parametrize("build", ZEROS.values(), ids=ZEROS)
def test_zero_is_no_intervention_bit_for_bit(model, tokens, build):
    _, plain = model.run_with_cache(tokens)
    with build().attached(model) as handle:
        _, controlled = model.run_with_cache(tokens)
    assert handle.fired == {HOOK: 1}
    for name, activation in plain.items():
        bits = controlled[name].contiguous().view(torch.int32)
        assert torch.equal(bits, activation.contiguous().view(torch.int32)), name


def test_layers_rows_and_steps_not_addressed_are_bit_identical(model, tokens):
    _, plain = model.run_with_cache(tokens)
    controller = Mask(VectorController(torch.randn(D), HOOK), rows=[1], steps=[3])
    with controller.attached(model):
        _, controlled = model.run_with_cache(tokens)
    for name in plain:
        if name.startswith(("hook_", "blocks.0.")):
            assert torch.equal(controlled[name], plain[name]), name
    stream = "blocks.2.hook_resid_post"
    changed = (controlled[stream] != plain[stream]).any(-1)
    assert not changed[[0, 2]].any() and not changed[1, :3].any()
    assert changed[1, 3:].all()


def test_gradients_reach_the_controller_and_never_the_base(model, tokens, intervention):
    base = copy.deepcopy(model)
    with intervention.attached(base):
        loss = base(tokens).square().mean()
    if list(intervention.parameters()):  # all but ablation to zero
        loss.backward()
    assert all(parameter.grad is None for parameter in base.parameters())
    for name, parameter in intervention.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_inert_in_inference_and_trainable_after_it(model, tokens, intervention):
    with intervention.attached(model):
        whole = model(tokens)
        with torch.inference_mode():
            played = model(tokens)
        again = model(tokens)
    assert played.is_inference() and not played.requires_grad
    assert torch.equal(played, whole) and torch.equal(again, whole)
    assert whole.requires_grad == again.requires_grad
    assert again.requires_grad or not list(intervention.parameters())
    if again.requires_grad:
        again.square().mean().backward()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_the_stream_keeps_its_dtype(intervention, dtype):
    x = torch.randn(ROWS, STEPS, D, dtype=dtype)
    y = intervention(x)
    assert y.dtype == dtype
    exact = intervention(x.float()).to(dtype)
    torch.testing.assert_close(y, exact, atol=0.2 if dtype == torch.bfloat16 else 1e-4, rtol=0.05)


NEED_VALUES = (CodeController, TransplantPatch)
"""Decoders compute where their weights are; positions are checked, so they have to be read."""


def test_the_stream_keeps_its_device(intervention):
    # Tensors of the meta device mix with no others, and cost nothing.
    if not isinstance(intervention, NEED_VALUES):
        y = intervention(torch.empty(ROWS, STEPS, D, device="meta"))
        assert y.device.type == "meta" and y.shape == (ROWS, STEPS, D)


def test_autocast(model, tokens, intervention):
    with torch.autocast("cpu", torch.bfloat16), intervention.attached(model):
        logits = model(tokens)
    with intervention.attached(model):
        torch.testing.assert_close(logits.float(), model(tokens), atol=0.3, rtol=0.1)


PER_STEP = {
    "low rank": lambda: LowRankController(zero(1, STEPS, 4, D), zero(1, STEPS, D, 4), HOOK),
    "vector": lambda: VectorController(zero(1, STEPS, D), HOOK),
    "bank": lambda: ControllerBank.trainable(VectorController, "ab", D, HOOK).labelled(
        zero(1, STEPS).long()
    ),
    "codes": lambda: CodeController(HypernetworkDecoder(5, 8, D, 4), zero(1, STEPS, 5), HOOK),
    "replace": lambda: ReplacePatch(zero(1, STEPS, D), HOOK),
    "mask": lambda: Mask(AblatePatch(HOOK), where=zero(1, STEPS) == 0),
}


@pytest.mark.parametrize("build", PER_STEP.values(), ids=PER_STEP)
def test_steps_beyond_the_sequence_are_errors(build):
    intervention = build()
    for steps in (STEPS - 1, STEPS + 1):
        with pytest.raises(ValueError, match=f"holds 6 steps.* ends at step {steps}"):
            intervention(torch.randn(ROWS, steps, D))
    with starting_at(STEPS - 1):
        intervention(torch.randn(ROWS, 1, D))
    with (
        starting_at(STEPS),
        pytest.raises(ValueError, match=r"holds 6 steps.* ends at step 7"),
    ):
        intervention(torch.randn(ROWS, 1, D))


def test_rows_that_differ_are_errors():
    x = torch.randn(2, STEPS, D)
    for controller in (
        VectorController(torch.randn(ROWS, D), HOOK),
        LowRankController(torch.randn(ROWS, STEPS, 4, D), torch.randn(ROWS, STEPS, D, 4), HOOK),
        ControllerBank.trainable(VectorController, "ab", D, HOOK).labelled(
            torch.zeros(ROWS, STEPS, dtype=torch.long)
        ),
        Sequence(VectorController(zero(D), HOOK), AblatePatch(HOOK), torch.tensor([1, 2, 3])),
    ):
        with pytest.raises(ValueError, match=r"3.* 2"):
            controller(x)


def test_a_bank_of_another_dtype_follows_the_stream():
    bank = ControllerBank.trainable(LowRankController, "ab", D, HOOK, rank=4).double()
    x = torch.randn(2, 3, D)
    assert bank["a"](x).dtype == torch.float32
    assert bank.labelled(torch.tensor([[0, 1, -1]]))(x).dtype == torch.float32
