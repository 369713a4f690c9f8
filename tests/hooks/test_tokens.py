"""At tokens, which are whole numbers without a width: whole numbers, or an error."""

from __future__ import annotations

import pytest
import torch
from transformer_lens import HookedTransformer

from irl_lens.hooks import (
    AblatePatch,
    ActivationMean,
    CodeController,
    ControllerBank,
    FullController,
    Interpolate,
    InterpolatePatch,
    LowRankController,
    Mask,
    ProjectOut,
    ReplacePatch,
    Scale,
    SubspacePatch,
    VectorController,
)
from tests.hooks.conftest import decoder
from tests.hooks.test_layouts import TOKENS as ODD
from tests.hooks.test_layouts import config

HOOK, (ROWS, STEPS) = "hook_tokens", ODD.shape
TOKENS = ODD // 2 * 2
OTHER = TOKENS.flip(0)


@pytest.fixture(scope="module")
def model() -> HookedTransformer:
    return HookedTransformer(config(use_hook_tokens=True))


WIDTHLESS = {
    "vector": lambda: VectorController(torch.full((STEPS,), 0.6), HOOK),
    "full": lambda: FullController(torch.eye(STEPS) / 3, HOOK),
    "low rank": lambda: LowRankController.random(STEPS, 2, HOOK),
    "codes": lambda: CodeController(decoder(), torch.zeros(ROWS, STEPS, 5), HOOK),
    "bank": lambda: ControllerBank.trainable(VectorController, "ab", STEPS, HOOK).labelled(
        torch.zeros_like(TOKENS)
    ),
}
FRACTIONS = {
    "scale": lambda: Scale(ReplacePatch(TOKENS + 1, HOOK), 0.5),
    "interpolate": lambda: Interpolate(AblatePatch(HOOK), ReplacePatch(TOKENS + 1, HOOK), 0.5),
    "blend": lambda: InterpolatePatch(TOKENS + 1, HOOK, 0.5),
    "remove": lambda: SubspacePatch(torch.ones(1, STEPS), HOOK),
    "project": lambda: ProjectOut(ReplacePatch(torch.tensor(3), HOOK), torch.eye(STEPS)[:1] + 0.5),
    "masked": lambda: Mask(Scale(ReplacePatch(TOKENS + 1, HOOK), 0.5), steps=[1]),
}


@pytest.mark.parametrize("kind", WIDTHLESS | FRACTIONS)
def test_what_would_be_cut_to_whole_numbers_is_refused(model, kind):
    said = r"carries torch\.int64 without a width" if kind in WIDTHLESS else "fractions, where"
    intervention = (WIDTHLESS | FRACTIONS)[kind]()
    with pytest.raises(ValueError, match=said):
        model.run_with_hooks(TOKENS, fwd_hooks=intervention.fwd_hooks())


@pytest.mark.parametrize(
    ("intervention", "expected"),
    [
        (AblatePatch(HOOK), 0 * TOKENS),
        (ReplacePatch(OTHER, HOOK), OTHER),
        (InterpolatePatch(OTHER, HOOK, 0.5), (TOKENS + OTHER) // 2),
        (Scale(AblatePatch(HOOK), 0.5), TOKENS // 2),
        (ReplacePatch(OTHER, HOOK) - Scale(AblatePatch(HOOK), 0.0), OTHER),
    ],
)
def test_whole_numbers_are_exact(model, intervention, expected):
    steered = model.run_with_hooks(TOKENS, fwd_hooks=intervention.fwd_hooks())
    assert torch.equal(steered, model(expected)) and intervention(TOKENS).dtype == torch.long


def test_a_mean_of_tokens_is_none():
    with pytest.raises(ValueError, match="whose mean is none"):
        ActivationMean(HOOK).add(TOKENS)
