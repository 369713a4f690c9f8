"""Small TransformerLens bridges: its own, and of a Hugging Face model, made here."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformer_lens.model_bridge import TransformerBridge
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    CodeGenConfig,
    CodeGenForCausalLM,
    DeepseekV3Config,
    DeepseekV3ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GraniteMoeConfig,
    GraniteMoeForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3_5ForCausalLM,
    Qwen3_5TextConfig,
    Qwen3Config,
    Qwen3ForCausalLM,
    SwitchTransformersConfig,
    SwitchTransformersForConditionalGeneration,
)

VOCABULARY = 11


def native() -> TransformerBridge:
    """A bridge to TransformerLens' own transformer."""
    sizes = {"n_layers": 2, "d_model": 16, "n_heads": 2, "d_head": 8, "d_mlp": 32, "n_ctx": 16}
    model = TransformerBridge.boot_native(
        {**sizes, "d_vocab": VOCABULARY, "act_fn": "relu", "seed": 0}
    )
    return model.requires_grad_(False).eval()


def gpt2() -> TransformerBridge:
    config = GPT2Config(
        n_layer=2,
        n_embd=16,
        n_head=2,
        n_positions=16,
        vocab_size=VOCABULARY,
        initializer_range=0.2,
    )
    return _wrapped("gpt2", GPT2LMHeadModel, config)


def bart() -> TransformerBridge:
    """An encoder and a decoder."""
    config = BartConfig(
        d_model=16,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_position_embeddings=16,
        vocab_size=VOCABULARY,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=2,
        forced_eos_token_id=None,
        init_std=0.3,
        dropout=0.0,
    )
    return _wrapped("facebook/bart-base", BartForConditionalGeneration, config)


def mixtral() -> TransformerBridge:
    """A mixture of experts, with grouped queries and rotated positions."""
    config = MixtralConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=VOCABULARY,
        max_position_embeddings=16,
        num_local_experts=7,
        num_experts_per_tok=2,
        initializer_range=0.2,
    )
    return _wrapped("mistralai/Mixtral-8x7B-v0.1", MixtralForCausalLM, config)


def granite() -> TransformerBridge:
    """A router that gives the numbers of experts."""
    config = GraniteMoeConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=VOCABULARY,
        max_position_embeddings=16,
        num_local_experts=5,
        num_experts_per_tok=2,
        initializer_range=0.3,
    )
    return _wrapped("ibm-granite/granite-3.0-1b-a400m-base", GraniteMoeForCausalLM, config)


def qwen() -> TransformerBridge:
    """Queries and keys are normalised by head."""
    config = Qwen3Config(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=4,
        vocab_size=VOCABULARY,
        max_position_embeddings=16,
        initializer_range=0.3,
    )
    return _wrapped("Qwen/Qwen3-0.6B", Qwen3ForCausalLM, config)


def deepseek() -> TransformerBridge:
    """Latent attention, and a mixture of experts after the first block."""
    config = DeepseekV3Config(
        hidden_size=16,
        intermediate_size=24,
        moe_intermediate_size=12,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        q_lora_rank=8,
        kv_lora_rank=12,
        qk_nope_head_dim=6,
        qk_rope_head_dim=4,
        v_head_dim=8,
        n_routed_experts=4,
        num_experts_per_tok=2,
        n_group=2,
        topk_group=1,
        first_k_dense_replace=1,
        vocab_size=VOCABULARY,
        max_position_embeddings=16,
        initializer_range=0.3,
    )
    # With another implementation the bridge's attention sees the future.
    config._attn_implementation = "eager"
    return _wrapped("deepseek-ai/DeepSeek-V3", DeepseekV3ForCausalLM, config)


def mistral() -> TransformerBridge:
    """Attention to the last three steps alone."""
    config = MistralConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        sliding_window=3,
        vocab_size=VOCABULARY,
        max_position_embeddings=16,
        initializer_range=0.3,
    )
    return _wrapped("mistralai/Mistral-7B-v0.1", MistralForCausalLM, config)


def codegen() -> TransformerBridge:
    """What attention hides is divided after it was set."""
    config = CodeGenConfig(
        n_layer=2,
        n_embd=32,
        n_head=4,
        n_positions=16,
        rotary_dim=4,
        vocab_size=VOCABULARY,
        bos_token_id=0,
        eos_token_id=1,
        initializer_range=0.3,
    )
    return _wrapped("Salesforce/codegen-350M-mono", CodeGenForCausalLM, config)


def qwen_gated() -> TransformerBridge:
    """A gate beside every query, and norms whose weights are counted from 1."""
    config = Qwen3_5TextConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=4,
        layer_types=["linear_attention", "full_attention"],
        linear_key_head_dim=4,
        linear_value_head_dim=4,
        linear_num_key_heads=2,
        linear_num_value_heads=4,
        vocab_size=VOCABULARY,
        max_position_embeddings=16,
        initializer_range=0.3,
    )
    return _wrapped("Qwen/Qwen3.5-0.8B", Qwen3_5ForCausalLM, config)


def switch() -> TransformerBridge:
    """An encoder and a decoder, whose positions are a bias by query and key."""
    config = SwitchTransformersConfig(
        d_model=16,
        d_kv=4,
        d_ff=24,
        num_layers=1,
        num_decoder_layers=1,
        num_sparse_encoder_layers=0,
        num_sparse_decoder_layers=0,
        num_heads=4,
        num_experts=4,
        vocab_size=VOCABULARY,
        initializer_factor=0.3,
    )
    return _wrapped("google/switch-base-8", SwitchTransformersForConditionalGeneration, config)


def _wrapped(
    architecture: str, kind: type[PreTrainedModel], config: PretrainedConfig
) -> TransformerBridge:
    """A fresh model of a kind, always with the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = kind(config)
    model.config.architectures = [kind.__name__]
    words = WordLevel({chr(97 + i): i for i in range(VOCABULARY)}, unk_token="a")
    # Without a token for the beginning, which TransformerLens would go online for.
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(words), unk_token="a", eos_token="b", pad_token="c"
    )
    bridge = TransformerBridge.boot_transformers(
        architecture, hf_model=model.eval(), tokenizer=tokenizer
    )
    return bridge.requires_grad_(False).eval()
