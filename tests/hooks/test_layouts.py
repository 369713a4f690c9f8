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
from tests.hooks.bridges import gpt2, mixtral, native, qwen

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
}
REFUSED = {
    "experts": {
        "blocks.N.mlp.experts.N.hook_gate",
        "blocks.N.mlp.experts.N.hook_pre",
        "blocks.N.mlp.experts.N.hook_post",
        "blocks.N.mlp.hook_expert_weights",
        "blocks.N.mlp.hook_expert_indices",
    },
    "native bridge": {"pos_embed.hook_in"},
    "GPT-2": {"pos_embed.hook_in"},
    "Mixtral": {
        "rotary_emb.hook_cos",
        "rotary_emb.hook_sin",
        "blocks.N.attn.hook_cos",
        "blocks.N.attn.hook_sin",
        "blocks.N.mlp.gate.hook_in",
        "blocks.N.mlp.gate.hook_out",
    },
    "Qwen": {
        "rotary_emb.hook_cos",
        "rotary_emb.hook_sin",
        "blocks.N.attn.hook_cos",
        "blocks.N.attn.hook_sin",
        *(
            f"blocks.N.attn.{x}{at}"
            for x in "qk"
            for at in ("_norm.hook_in", "_norm.hook_normalized", "_norm.hook_out")
        ),
        *(f"blocks.N.attn.{x}_norm.hook_scale" for x in "qk"),
        *(f"blocks.N.attn.hook_{x}_normed" for x in "qk"),
    },
}


def carried(model: Any) -> dict[str, Tensor]:
    """What each hook point carries, under every name that it has."""
    found: dict[str, Tensor] = {}
    points = hook_points(model)
    for name, point in points.items():
        point.add_hook(lambda tensor, hook, name=name: found.update({name: tensor}))
    decoder = (TOKENS,) if isinstance(model, HookedEncoderDecoder) else ()
    with torch.no_grad():
        model(TOKENS, *decoder)
    model.reset_hooks()
    return {name: x for name, x in found.items() if isinstance(x, Tensor)}


def refused(name: str, x: Tensor) -> bool:
    try:
        check_layout(x, name)
    except ValueError as error:
        assert str(tuple(x.shape)) in str(error)
        return True
    return False


@pytest.mark.filterwarnings("ignore:HookedEncoder is deprecated:DeprecationWarning")
@pytest.mark.parametrize("kind", MODELS)
def test_rows_and_steps_are_where_they_are_taken_to_be(kind):
    wrong, others = [], set()
    for name, x in carried(MODELS[kind]()).items():
        if refused(name, x):
            others.add(re.sub(r"\d+", "N", name))
            continue
        axes = Axes.of(name)
        found = [x.shape[0], x.shape[axes.step]]
        expected = [ROWS, STEPS]
        if axes.key is not None:
            found.append(x.shape[axes.key])
            expected.append(STEPS)
        if x.ndim == 4:
            assert x.shape[axes.head] in (2, HEADS), name
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
