"""Every kind of intervention, window by window with a cache, against the whole sequence."""

from __future__ import annotations

from inspect import isabstract

import pytest
import torch
from torch import Tensor
from transformer_lens.cache.key_value_cache import TransformerLensKeyValueCache
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.model_bridge.sources import build_bridge_from_module
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.cache_utils import DynamicCache

from irl_lens import hooks
from irl_lens.config.schema import BaseConfig
from irl_lens.envs.spaces import DiscreteActions, ObservationSpec
from irl_lens.hooks import Intervention, VectorController
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.fast import FastPath

D, ROWS, STEPS = 16, 3, 6
WINDOWS = ([1] * STEPS, [2, 3, 1])


def test_every_kind_has_a_case(kinds):
    types = {kind for name in hooks.__all__ if isinstance(kind := getattr(hooks, name), type)}
    found = {kind for kind in types if issubclass(kind, Intervention) and not isabstract(kind)}
    assert found - {type(build()) for build in kinds.values()} == set()


@pytest.mark.parametrize("windows", WINDOWS, ids=str)
def test_with_transformer_lens_cache(model, tokens, intervention, windows):
    with intervention.attached(model):
        whole = model(tokens)
    cache = TransformerLensKeyValueCache.init_cache(model.cfg, "cpu", ROWS)
    decoded = []
    with intervention.attached(model) as handle:
        for window in tokens.split(windows, dim=1):
            ones = torch.ones_like(window)
            decoded.append(model(window, past_kv_cache=cache, attention_mask=ones))
    assert handle.fired == {intervention.hook_name: len(windows)}
    torch.testing.assert_close(torch.cat(decoded, 1), whole, atol=1e-4, rtol=0)


@pytest.fixture(scope="module")
def hugging_face() -> TransformerBridge:
    """A fresh GPT-2 of Hugging Face's, as TransformerLens wraps it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = GPT2Config(
            n_layer=2,
            n_embd=D,
            n_head=2,
            n_positions=8,
            vocab_size=11,
            bos_token_id=0,
            eos_token_id=0,
        )
        model = GPT2LMHeadModel(config).eval().requires_grad_(False)
    return build_bridge_from_module(model, "GPT2LMHeadModel", hf_config=config)


def test_with_hugging_face_cache(hugging_face, tokens, intervention):
    plain = hugging_face(tokens)
    with intervention.attached(hugging_face) as handle:
        whole = hugging_face(tokens)
        cache, decoded = DynamicCache(), []
        for token in tokens.split(1, dim=1):
            decoded.append(hugging_face(token, past_key_values=cache, use_cache=True))
    assert handle.fired == {intervention.hook_name: 1 + STEPS}
    torch.testing.assert_close(torch.cat(decoded, 1), whole, atol=1e-4, rtol=0)
    assert not torch.allclose(whole, plain, atol=1e-3)
    assert torch.equal(hugging_face(tokens), plain)


@pytest.fixture(scope="module")
def fast() -> FastPath:
    torch.manual_seed(0)
    config = BaseConfig(d_model=D, n_layers=3, n_heads=2, d_mlp=32)
    return FastPath(
        TrajectoryModel(config, ObservationSpec(("o",), (11,), (0,)), DiscreteActions(4)).frozen()
    )


@pytest.fixture(scope="module")
def observations() -> Tensor:
    return torch.randn(ROWS, STEPS, 11, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("windows", WINDOWS, ids=str)
def test_with_the_fast_path(fast, observations, intervention, windows):
    with intervention.attached(fast.model):
        slow, whole = fast.model(observations), fast.logits(observations)
        cache, decoded = fast.cache(ROWS, STEPS), []
        for window in observations.split(windows, dim=1):
            decoded.append(fast.logits(window, cache=cache))
    torch.testing.assert_close(whole, slow, atol=1e-4, rtol=0)
    torch.testing.assert_close(torch.cat(decoded, 1), whole, atol=1e-4, rtol=0)


def test_the_unembedding_is_told_of_the_cache_too(fast, observations):
    values = torch.randn(1, STEPS, D, generator=torch.Generator().manual_seed(1))
    per_step = VectorController(values, "unembed.hook_in")
    with per_step.attached(fast.model):
        whole, cache = fast.logits(observations), fast.cache(ROWS, STEPS)
        decoded = [fast.logits(window, cache=cache) for window in observations.split(1, dim=1)]
    torch.testing.assert_close(torch.cat(decoded, 1), whole, atol=1e-4, rtol=0)
