"""Bridges to Hugging Face models: what is not as its name says is refused, the rest is right."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import DynamicCache

from irl_lens.hooks import AblatePatch, ReplacePatch, VectorController, hook_points
from tests.hooks.bridges import (
    codegen,
    deepseek,
    gpt2,
    granite,
    mistral,
    mixtral,
    qwen,
    qwen_gated,
    switch,
)

ROWS, STEPS, AT = 3, 7, 4
TOKENS = torch.randint(11, (ROWS, STEPS), generator=torch.Generator().manual_seed(0))
KINDS = {
    "GPT-2": gpt2,
    "Mixtral": mixtral,
    "Mistral": mistral,
    "Qwen": qwen,
    "Qwen, gated": qwen_gated,
    "Granite": granite,
    "DeepSeek": deepseek,
    "CodeGen": codegen,
}
# TransformerLens': a bridge computes the whole of a norm by itself once something in it is changed.
pytestmark = pytest.mark.filterwarnings("ignore:A forward hook edited hook_scale:UserWarning")


@pytest.fixture(params=KINDS, scope="module")
def bridge(request: pytest.FixtureRequest) -> Any:
    return KINDS[request.param]()


def widths(bridge: Any) -> dict[str, int]:
    """How wide what each hook point carries is, where that is no integer."""
    _, cache = bridge.run_with_cache(TOKENS)
    found = {name: cache[name] for name in hook_points(bridge) if name in cache}
    return {name: x.shape[-1] for name, x in found.items() if x.is_floating_point()}


def test_what_is_not_refused_changes_what_is_addressed_alone(bridge):
    plain, changed = bridge(TOKENS), 0
    for name, width in widths(bridge).items():
        keys = name.endswith(("hook_pattern", "hook_attn_scores"))
        value = torch.tensor(0.7) if keys else torch.linspace(0.3, 1.5, width)
        try:
            with ReplacePatch(value, name, rows=[1], steps=[AT]).attached(bridge):
                patched = bridge(TOKENS)
        except ValueError:
            continue
        changed += 1
        torch.testing.assert_close(patched[[0, 2]], plain[[0, 2]], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(patched[1, :AT], plain[1, :AT], atol=1e-5, rtol=1e-5)
        assert not torch.allclose(patched[1, AT:], plain[1, AT:], atol=1e-4), name
        assert torch.equal(bridge(TOKENS), plain)
    assert changed > 35


@pytest.mark.parametrize("name", ["hook_q", "hook_k", "hook_v", "hook_z", "o.hook_in"])
def test_latent_attention_has_no_steps_where_they_are_taken_to_be(name):
    bridge: Any = deepseek()
    name = f"blocks.1.attn.{name}"
    # As many steps as heads: not told by the shape.
    for steps in (STEPS, 4):
        tokens, patch = TOKENS[:, :steps], AblatePatch(name, steps=[1])
        with pytest.raises(ValueError, match=r"not \[rows, steps, heads, .* attention is latent"):
            bridge.run_with_hooks(tokens, fwd_hooks=patch.fwd_hooks())
        with (
            pytest.raises(ValueError, match="attention is latent"),
            VectorController(torch.ones(8), name).attached(bridge),
        ):
            bridge(tokens)


def test_rotated_queries_of_latent_attention_are_by_step_and_head():
    bridge: Any = deepseek()
    name = "blocks.1.attn.hook_rot_q"
    with AblatePatch(name, rows=[1], steps=[AT], heads=[2]).attached(bridge):
        patched = bridge.run_with_cache(TOKENS)[1]["blocks.1.attn.hook_attn_scores"]
    plain = bridge.run_with_cache(TOKENS)[1]["blocks.1.attn.hook_attn_scores"]
    changed = (patched != plain).any(-1).nonzero()
    assert changed.tolist() == [[1, 2, AT]]


def test_a_query_beside_its_gate_is_no_head():
    bridge: Any = qwen_gated()
    for name in ("hook_q", "q.hook_out"):
        patch = AblatePatch(f"blocks.1.attn.{name}", heads=[1])
        with pytest.raises(ValueError, match=r"\(3, 7, 8, 4\), .* gates lie between"):
            bridge.run_with_hooks(TOKENS, fwd_hooks=patch.fwd_hooks())


@pytest.mark.parametrize("boot", [qwen_gated, switch])
@pytest.mark.parametrize("at", ["hook_scale", "hook_normalized"])
def test_a_norm_that_the_bridge_computes_otherwise_is_refused(boot, at):
    bridge: Any = boot()
    norm = "decoder_ln_final" if boot is switch else "ln_final"
    decoder: dict[str, Any] = {"decoder_input": TOKENS} if boot is switch else {}
    plain = bridge(TOKENS, **decoder)
    hooks = [(f"{norm}.{at}", lambda x, hook: x.clone())]
    assert not torch.allclose(bridge.run_with_hooks(TOKENS, fwd_hooks=hooks, **decoder), plain)
    zero = VectorController(torch.zeros(1 if at == "hook_scale" else 16), f"{norm}.{at}")
    with pytest.raises(ValueError, match=rf"another way .*{norm}\.hook_out"):
        bridge.run_with_hooks(TOKENS, fwd_hooks=zero.fwd_hooks(), **decoder)
    zero = VectorController(torch.zeros(16), f"{norm}.hook_out")
    found = bridge.run_with_hooks(TOKENS, fwd_hooks=zero.fwd_hooks(), **decoder)
    assert torch.equal(found, plain)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_a_norm_is_as_the_model_s_in_every_precision(dtype):
    bridge: Any = mistral().to(dtype)
    zero = VectorController(torch.zeros(16), "ln_final.hook_normalized")
    with zero.attached(bridge):
        found = bridge(TOKENS)
    torch.testing.assert_close(found.float(), bridge(TOKENS).float(), atol=0.02, rtol=0.05)


def test_one_row_of_positions_that_stands_for_all_is_refused():
    bridge: Any = gpt2()
    name = "pos_embed.hook_out"
    plain, patch = bridge(TOKENS), AblatePatch(name, rows=[0])
    with patch.attached(bridge):
        patched = bridge(TOKENS)
        with pytest.raises(ValueError, match="one row that stands for every row"):
            bridge.original_model(TOKENS)
    assert torch.equal(patched[1:], plain[1:]) and not torch.equal(patched[0], plain[0])


def test_a_bias_by_query_and_key_is_no_embedding_of_positions():
    bridge: Any = switch()
    patch = AblatePatch("hook_pos_embed", rows=[1])
    for steps in (STEPS, ROWS):  # as many steps as rows: not told by the shape
        tokens = TOKENS[:, :steps]
        with pytest.raises(ValueError, match="a bias by query and key"):
            bridge.run_with_hooks(tokens, fwd_hooks=patch.fwd_hooks(), decoder_input=tokens)


@pytest.mark.parametrize("name", ["hook_pattern", "hook_attn_scores"])
def test_a_sliding_window_drops_attended_steps(name):
    """The cache keeps the last steps alone; the first step of what is left is none."""
    bridge: Any = mistral()
    patch = AblatePatch(f"blocks.1.attn.{name}", steps=[2, 5], keys=[1, 2])
    with patch.attached(bridge):
        whole, cache = bridge(TOKENS), DynamicCache(config=bridge.original_model.config)
        for at in range(3):
            found = bridge(TOKENS[:, at : at + 1], past_key_values=cache, use_cache=True)
            torch.testing.assert_close(found, whole[:, at : at + 1], atol=1e-4, rtol=0)
        with pytest.raises(ValueError, match="3 attended steps of the 4 so far"):
            bridge(TOKENS[:, 3:4], past_key_values=cache, use_cache=True)


def test_what_is_only_asked_for_its_dtype_is_refused():
    bridge: Any = mixtral()
    patch = AblatePatch("rotary_emb.hook_in")
    with pytest.raises(ValueError, match="dtype and device alone"):
        bridge.run_with_hooks(TOKENS, fwd_hooks=patch.fwd_hooks())
