"""Every hook point of every kind of model: rows first, steps where we take them, or refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from transformer_lens import (
    HookedEncoder,
    HookedEncoderDecoder,
    HookedTransformer,
    HookedTransformerConfig,
)

from irl_lens.hooks import AblatePatch, VectorController, hook_points
from irl_lens.hooks.core.address import Axes, check_layout
from irl_lens.hooks.core.bridges import check_bridge
from tests.hooks.bridges import (
    bart,
    deepseek,
    gpt2,
    granite,
    mixtral,
    native,
    qwen,
    qwen_gated,
    switch,
)

ROWS, STEPS, HEADS = 3, 5, 4
TOKENS = torch.randint(11, (ROWS, STEPS), generator=torch.Generator().manual_seed(0))


def config(**options: Any) -> HookedTransformerConfig:
    sizes: dict[str, Any] = {
        **{"n_layers": 2, "d_model": 16, "n_heads": HEADS, "d_head": 8, "d_mlp": 32, "n_ctx": 13},
        **{"d_vocab": 11, "act_fn": "relu", "seed": 0, "device": "cpu", **options},
    }
    return HookedTransformerConfig(**sizes)


def transformer(**options: Any) -> Callable[[], HookedTransformer]:
    flags = dict.fromkeys(("use_attn_result", "use_hook_mlp_in", "use_hook_tokens"), True)
    return lambda: HookedTransformer(config(**{**flags, **options}))


def t5() -> HookedEncoderDecoder:
    more = {"tie_word_embeddings": True, "relative_attention_num_buckets": 9}
    return HookedEncoderDecoder(
        config(
            positional_embedding_type="relative_positional_bias",
            attention_dir="bidirectional",
            relative_attention_max_distance=20,
            decoder_start_token_id=0,
            use_attn_result=True,
            use_hook_mlp_in=True,
            **more,
        )
    )


MODELS: dict[str, Callable[[], Any]] = {
    "split inputs": transformer(use_split_qkv_input=True),
    "attention input": transformer(use_attn_in=True, normalization_type="LNPre"),
    "attention only": transformer(attn_only=True, normalization_type=None),
    "parallel": transformer(
        parallel_attn_mlp=True, positional_embedding_type="rotary", rotary_dim=8
    ),
    "grouped queries": transformer(
        n_key_value_heads=2, ungroup_grouped_query_attention=False, normalization_type="RMS"
    ),
    "gated": transformer(gated_mlp=True, act_fn="silu", normalization_type="RMSPre"),
    "ALiBi": transformer(positional_embedding_type="alibi", act_fn="solu_ln"),
    "shortformer": transformer(positional_embedding_type="shortformer"),
    "experts": transformer(num_experts=7, experts_per_token=2, gated_mlp=True, act_fn="silu"),
    "encoder": lambda: HookedEncoder(config(attention_dir="bidirectional", use_attn_result=True)),
    "encoder and decoder": t5,
    "native bridge": native,
    "GPT-2": gpt2,
    "Mixtral": mixtral,
    "Qwen": qwen,
    "DeepSeek": deepseek,
    "Qwen, gated": qwen_gated,
    "Granite": granite,
    "BART": bart,
    "Switch": switch,
}
ROTARY = {
    *(f"rotary_emb.hook_{x}" for x in ("in", "cos", "sin")),
    *(f"blocks.N.attn.hook_{x}" for x in ("cos", "sin")),
}
BY_HEAD = {
    *(
        f"blocks.N.attn.{x}_norm.hook_{at}"
        for x in "qk"
        for at in ("in", "scale", "normalized", "out")
    ),
    *(f"blocks.N.attn.hook_{x}_normed" for x in "qk"),
}
ROUTER = {"blocks.N.mlp.gate.hook_in", "blocks.N.mlp.gate.hook_out"}


def shown(*attention: str) -> set[str]:
    return {f"{at}.hook_{x}" for at in attention for x in ("attn_scores", "pattern")}


def inside(*norms: str) -> set[str]:
    return {f"{norm}.hook_{x}" for norm in norms for x in ("scale", "normalized")}


REFUSED = {
    "experts": {
        "blocks.N.mlp.experts.N.hook_gate",
        "blocks.N.mlp.experts.N.hook_pre",
        "blocks.N.mlp.experts.N.hook_post",
        "blocks.N.mlp.hook_expert_weights",
        "blocks.N.mlp.hook_expert_indices",
    },
    "native bridge": {"pos_embed.hook_in", *shown("blocks.N.attn")},
    "GPT-2": {"pos_embed.hook_in"},
    "Mixtral": ROTARY | ROUTER,
    "Qwen": ROTARY | BY_HEAD,
    "DeepSeek": {
        *ROTARY,
        "blocks.N.mlp.gate.hook_out",
        *(f"blocks.N.attn.{x}" for x in ("hook_q", "hook_k", "hook_v", "hook_z", "o.hook_in")),
    },
    "Qwen, gated": {
        *(ROTARY | BY_HEAD),
        *("blocks.N.attn.hook_q", "blocks.N.attn.q.hook_out"),
        *inside("blocks.N.lnN", "ln_final"),
    },
    "Granite": ROTARY | ROUTER,
    "BART": {"pos_embed.hook_in", "decoder_pos_embed.hook_in", "decoder_pos_embed.hook_out"},
    "Switch": {
        *(f"{x}pos_embed.hook_{at}" for x in ("", "decoder_") for at in ("in", "out")),
        "hook_pos_embed",
        *shown("encoder_blocks.N.attn"),
        *shown("decoder_blocks.N.self_attn", "decoder_blocks.N.cross_attn"),
        *inside("encoder_blocks.N.lnN", "encoder_ln_final"),
        *inside("decoder_blocks.N.lnN", "decoder_ln_final"),
    },
}


def carried(model: Any) -> tuple[dict[str, Tensor], set[str]]:
    """What each hook point carries, under every name that it has; and which are refused."""
    found: dict[str, Tensor] = {}
    others: set[str] = set()

    def meet(x: Any, name: str) -> None:
        if isinstance(x, Tensor) and refused(name, x):
            others.add(re.sub(r"\d+", "N", name))
        elif isinstance(x, Tensor):
            found[name] = x

    points = hook_points(model)
    for name, point in points.items():
        point.add_hook(lambda tensor, hook, name=name: meet(tensor, name))
    decoder = (TOKENS,) if isinstance(model, HookedEncoderDecoder) else ()
    both = {"decoder_input": TOKENS} if "decoder_embed.hook_in" in points else {}
    with torch.no_grad():
        model(TOKENS, *decoder, **both)
    model.reset_hooks()
    return found, others


def refused(name: str, x: Tensor) -> bool:
    try:
        check_layout(x, name)
        check_bridge(x, name)
    except ValueError as error:
        assert name.rsplit(".", 1)[-1] in str(error)
        return True
    return False


@pytest.mark.filterwarnings("ignore:HookedEncoder is deprecated:DeprecationWarning")
@pytest.mark.parametrize("kind", MODELS)
def test_rows_and_steps_are_where_they_are_taken_to_be(kind):
    wrong = []
    found_at, others = carried(MODELS[kind]())
    for name, x in found_at.items():
        axes = Axes.of(name)
        found = [x.shape[0], x.shape[axes.step]]
        expected = [ROWS, STEPS]
        if axes.key is not None:
            found.append(x.shape[axes.key])
            expected.append(STEPS)
        if x.ndim == 4:
            assert x.shape[axes.head] in (1, 2, HEADS), name
        if found != expected:
            wrong.append((name, tuple(x.shape)))
    assert not wrong
    assert others == REFUSED.get(kind, set())


@pytest.mark.parametrize("name", ["hook_expert_weights", "experts.0.hook_pre"])
def test_experts_are_refused_where_it_matters(name):
    model, name = MODELS["experts"](), f"blocks.0.mlp.{name}"
    for intervention in (AblatePatch(name, steps=[2]), VectorController(torch.ones(7), name)):
        with pytest.raises(ValueError, match=r"not \[rows, steps, \.\.\]; act where"):
            model.run_with_hooks(TOKENS, fwd_hooks=intervention.fwd_hooks())
