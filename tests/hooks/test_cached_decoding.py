"""Every kind of intervention, window by window with a cache, against the whole sequence."""

from __future__ import annotations

from inspect import isabstract

import pytest
import torch
from torch import Tensor
from transformer_lens.cache.key_value_cache import TransformerLensKeyValueCache

from irl_lens import hooks
from irl_lens.config import BaseConfig
from irl_lens.envs.protocol import ObservationSpec
from irl_lens.hooks import Intervention
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
    start, decoded = 0, []
    with intervention.attached(model) as handle:
        for window in tokens.split(windows, dim=1):
            intervention.offset = start
            ones = torch.ones_like(window)
            decoded.append(model(window, past_kv_cache=cache, attention_mask=ones))
            start += window.shape[1]
    assert handle.fired == {intervention.hook_name: len(windows)}
    torch.testing.assert_close(torch.cat(decoded, 1), whole, atol=1e-4, rtol=0)


@pytest.fixture(scope="module")
def fast() -> FastPath:
    torch.manual_seed(0)
    config = BaseConfig(d_model=D, n_layers=3, n_heads=2, d_mlp=32)
    return FastPath(TrajectoryModel(config, ObservationSpec(("o",), (11,), (0,)), 4).frozen())


@pytest.fixture(scope="module")
def observations() -> Tensor:
    return torch.randn(ROWS, STEPS, 11, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("windows", WINDOWS, ids=str)
def test_with_the_fast_path(fast, observations, intervention, windows):
    with intervention.attached(fast.model):
        slow, whole = fast.model(observations), fast.logits(observations)
        cache, decoded = fast.cache(ROWS, STEPS), []
        for window in observations.split(windows, dim=1):
            intervention.offset = cache.length
            decoded.append(fast.logits(window, cache=cache))
    torch.testing.assert_close(whole, slow, atol=1e-4, rtol=0)
    torch.testing.assert_close(torch.cat(decoded, 1), whole, atol=1e-4, rtol=0)
