"""Attention scores: the same effect whatever ran before, and never the future, on every model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformer_lens import HookedTransformer, HookedTransformerConfig

from irl_lens.hooks import (
    AblatePatch,
    Interpolate,
    InterpolatePatch,
    Intervention,
    Mask,
    ProjectOut,
    ReplacePatch,
    Scale,
    SubspacePatch,
    Sum,
    TransplantPatch,
    VectorController,
)
from tests.hooks.bridges import codegen, gpt2, mixtral, native

ROWS, STEPS, HEADS = 3, 6, 2
SCORES, PATTERN = "blocks.1.attn.hook_attn_scores", "blocks.1.attn.hook_pattern"


def alibi() -> HookedTransformer:
    config = HookedTransformerConfig(
        n_layers=2,
        d_model=16,
        n_heads=HEADS,
        d_head=8,
        d_mlp=32,
        act_fn="relu",
        n_ctx=32,
        d_vocab=11,
        positional_embedding_type="alibi",
        seed=0,
        device="cpu",
    )
    return HookedTransformer(config).requires_grad_(False).eval()


def compatible(boot: Callable[[], Any]) -> Callable[[], Any]:
    def booted() -> Any:
        bridge = boot()
        bridge.enable_compatibility_mode()
        return bridge

    return booted


MODELS = {
    "ALiBi": alibi,
    "GPT-2": gpt2,
    "GPT-2, compatible": compatible(gpt2),
    "CodeGen": codegen,
    "Mixtral": mixtral,
    "Mixtral, compatible": compatible(mixtral),
}


@pytest.fixture(scope="module", params=MODELS)
def any_model(request: pytest.FixtureRequest) -> Any:
    return MODELS[request.param]()


class Seen(Intervention):
    """An intervention of one's own, which reads all scores."""

    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * x + x.mean(-1, keepdim=True) * torch.arange(x.shape[-1])


zero = AblatePatch(SCORES)
EVERY: dict[str, Intervention] = {
    "zero": zero,
    "zero of a key": AblatePatch(SCORES, steps=[2, 4], keys=[1, 3, 5], rows=[0]),
    "a key out": ReplacePatch(torch.tensor(-torch.inf), SCORES, keys=[1], steps=[2, 3, 4, 5]),
    "a number": ReplacePatch(torch.tensor(2.5), SCORES, steps=[2, 4]),
    "a number a key": ReplacePatch(torch.arange(6.0), SCORES, steps=[2, 4]),
    "interpolated": InterpolatePatch(torch.tensor(1.0), SCORES, 2.5),
    "twice": 2 * zero,
    "minus": -zero,
    "sum": Sum(zero, zero, 0.5 * zero),
    "between": Interpolate(zero, Mask(zero, steps=[1]), 0.5),
    "beyond": Interpolate(zero, Mask(zero, steps=[1]), 2.0),
    "masked": Mask(2 * zero, rows=[1]),
    "vector": VectorController(torch.arange(6.0), SCORES),
    "subspace": SubspacePatch(torch.eye(6)[:1], SCORES),
    "projected": ProjectOut(Scale(zero, 0.5), torch.eye(6)[:1]),
    "own": Seen(SCORES),
}


@pytest.mark.parametrize("name", EVERY)
def test_no_query_sees_the_future_and_nothing_is_lost(any_model, tokens, name):
    _, plain = any_model.run_with_cache(tokens)
    with EVERY[name].attached(any_model) as handle:
        _, patched = any_model.run_with_cache(tokens)
    assert handle.fired == {SCORES: 1}
    pattern = patched[PATTERN]
    assert pattern.isfinite().all() and not pattern.triu(1).any()
    torch.testing.assert_close(pattern.sum(-1), torch.ones_like(pattern.sum(-1)))
    assert not torch.allclose(pattern, plain[PATTERN], atol=1e-3)
    future = torch.ones(STEPS, STEPS).triu(1).bool()
    assert torch.equal(patched[SCORES][..., future], plain[SCORES][..., future])


def test_values_of_another_run_do_not_show_the_future_either(any_model, tokens):
    other = any_model.run_with_cache(tokens.flip(0, 1))[1][SCORES]
    for patch in (
        ReplacePatch(torch.zeros_like(other), SCORES),
        TransplantPatch(other, SCORES, {(0, 1): (2, 5), (1, 2): (2, 5)}),
        AblatePatch(SCORES, "resample", other.flip(0)),
    ):
        with patch.attached(any_model):
            _, patched = any_model.run_with_cache(tokens)
        assert not patched[PATTERN].triu(1).any() and patched[PATTERN].isfinite().all()


def test_gradients_are_finite(any_model, tokens):
    weight = nn.Parameter(torch.tensor(0.5))
    patch = Sum(
        2 * ReplacePatch(weight, SCORES, steps=[3]), VectorController(torch.ones(6), SCORES)
    )
    any_model.run_with_hooks(tokens, fwd_hooks=patch.fwd_hooks()).square().sum().backward()
    assert weight.grad is not None and weight.grad.isfinite() and weight.grad != 0


@pytest.mark.parametrize("run", ["attached", "run_with_hooks"])
@pytest.mark.parametrize("name", EVERY)
def test_alibi_scores_have_the_effect_of_a_fresh_model(tokens, name, run):
    def logits(model: Any) -> Tensor:
        if run == "run_with_hooks":
            return model.run_with_hooks(tokens, fwd_hooks=EVERY[name].fwd_hooks())
        with EVERY[name].attached(model):
            return model(tokens)

    used, fresh = alibi(), alibi()
    used(torch.zeros(1, 30, dtype=torch.long))
    table = used.blocks[1].attn.alibi
    assert isinstance(table, Tensor) and table.shape[-1] == 30
    torch.testing.assert_close(logits(used), logits(fresh), atol=1e-5, rtol=1e-4)


def test_what_is_not_addressed_keeps_its_bits_after_a_longer_input(tokens):
    model = alibi()
    model(torch.zeros(1, 30, dtype=torch.long))
    _, plain = model.run_with_cache(tokens)
    with AblatePatch(SCORES, rows=[1], steps=[4], keys=[0, 2]).attached(model):
        _, patched = model.run_with_cache(tokens)
    changed = (patched[SCORES] != plain[SCORES]).nonzero()
    assert changed.tolist() == [[1, head, 4, key] for head in range(HEADS) for key in (0, 2)]
    before = plain["ln_final.hook_normalized"][[0, 2]]
    assert torch.equal(patched["ln_final.hook_normalized"][[0, 2]], before)


def test_cached_alibi_scores_are_taken_while_no_longer_input_came_between(tokens):
    model = alibi()
    scores = model.run_with_cache(tokens.flip(0))[1][SCORES]
    patch = ReplacePatch(scores, SCORES, steps=[3], keys=[1])
    with patch.attached(model):
        expected = model(tokens)
    model(torch.zeros(1, 30, dtype=torch.long))
    with (
        pytest.raises(ValueError, match=r"6 attended steps, .* of 30, .* set attn.alibi to None"),
        patch.attached(model),
    ):
        model(tokens)
    for block in model.blocks:
        block.attn.alibi = None
    with patch.attached(model):
        assert torch.equal(model(tokens), expected)


@pytest.mark.parametrize("boot", [native, compatible(native)])
@pytest.mark.parametrize("name", [SCORES, PATTERN])
def test_a_bridge_that_only_shows_its_attention_is_not_patched(boot, name, tokens):
    bridge = boot()
    with pytest.raises(ValueError, match="read after attention has been computed"):
        bridge.run_with_hooks(tokens, fwd_hooks=AblatePatch(name).fwd_hooks())
