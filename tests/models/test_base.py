"""The base model and its fast path against TransformerLens' own forward."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from irl_lens.config.schema import BaseConfig
from irl_lens.envs.registry import PinpadConfig, make_world
from irl_lens.models.base import TrajectoryModel, hook_name
from irl_lens.models.fast import FastPath
from irl_lens.training.pretrain import predictions

WORLD = make_world(PinpadConfig(size=5, colours=4, walls=2, horizon=40, grammar="paper-ant"))
BATCH = WORLD.demonstrate(6, 0)
OBSERVATIONS = torch.as_tensor(BATCH.observations)


def make_model(seed: int = 0, **options) -> TrajectoryModel:
    torch.manual_seed(seed)
    config = BaseConfig(d_model=32, n_layers=3, n_heads=2, d_mlp=64, **options)
    return TrajectoryModel(config, WORLD.observation, WORLD.actions)


@pytest.fixture
def model() -> TrajectoryModel:
    return make_model()


def test_sparse_and_dense_observations_are_the_same(model):
    dense = torch.as_tensor(WORLD.observation.dense(BATCH.observations))
    torch.testing.assert_close(model(OBSERVATIONS), model(dense), atol=1e-5, rtol=0)


@pytest.mark.parametrize("act_fn", ["relu", "gelu"])
def test_fast_path_agrees_with_transformer_lens(act_fn):
    model = make_model(act_fn=act_fn)
    torch.testing.assert_close(
        FastPath(model).logits(OBSERVATIONS), model(OBSERVATIONS), atol=1e-5, rtol=0
    )


def test_fast_path_has_the_gradients_of_transformer_lens(model):
    fast = FastPath(model)
    gradients = []
    for logits in (fast.logits(OBSERVATIONS), model(OBSERVATIONS)):
        model.zero_grad()
        logits.square().sum().backward()
        gradients.append({n: p.grad.clone() for n, p in model.hooked.named_parameters()})
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], atol=1e-4, rtol=1e-4)


def test_bfloat16_products_stay_near(model):
    near = FastPath(model, "bfloat16").logits(OBSERVATIONS)
    assert near.dtype == torch.float32
    torch.testing.assert_close(near, model(OBSERVATIONS), atol=0.1, rtol=0)


def test_cached_decoding_equals_the_whole_sequence(model):
    fast, steps = FastPath(model), OBSERVATIONS.shape[1]
    with torch.inference_mode():
        cache = fast.cache(len(OBSERVATIONS), steps)
        parts = [fast.logits(OBSERVATIONS[:, t : t + 1], cache=cache) for t in range(steps)]
    torch.testing.assert_close(torch.cat(parts, 1), model(OBSERVATIONS), atol=1e-4, rtol=0)


def test_dropping_rows_of_the_cache_leaves_the_others_alone(model):
    fast = FastPath(model)
    keep = torch.tensor([4, 1])
    with torch.inference_mode():
        cache = fast.cache(len(OBSERVATIONS), 6)
        for t in range(3):
            fast.logits(OBSERVATIONS[:, t : t + 1], cache=cache)
        cache.keep(keep)
        last = fast.logits(OBSERVATIONS[keep, 3:4], cache=cache)
    torch.testing.assert_close(last, model(OBSERVATIONS[keep, :4])[:, -1:], atol=1e-4, rtol=0)


def test_a_step_beyond_the_cache_is_an_error(model):
    fast = FastPath(model)
    with pytest.raises(ValueError, match="step 3 is beyond the cache's 2"):
        fast.logits(OBSERVATIONS[:, :3], cache=fast.cache(len(OBSERVATIONS), 2))


def test_starting_from_a_layer_gives_the_same(model):
    fast = FastPath(model)
    for layer in range(model.n_layers + 1):
        resid = fast.residual(OBSERVATIONS, layer)
        logits = fast.logits(resid=resid, start=layer)
        torch.testing.assert_close(logits, model(OBSERVATIONS), atol=1e-5, rtol=0)


@pytest.mark.parametrize("point", ["hook_resid_pre", "hook_resid_mid", "hook_resid_post"])
def test_residual_hooks_are_honoured(model, point):
    hooks = [(f"blocks.1.{point}", lambda e, hook: e * 1.5 + 0.1)]
    fast = FastPath(model).logits(OBSERVATIONS, fwd_hooks=hooks)
    slow = model.hooked.run_with_hooks(OBSERVATIONS, fwd_hooks=hooks)
    torch.testing.assert_close(fast, slow, atol=1e-5, rtol=0)
    assert not torch.allclose(fast, model(OBSERVATIONS))


def test_a_hook_on_the_starting_layer_is_applied(model):
    hooks = [(hook_name(2), lambda e, hook: e * 2)]
    fast = FastPath(model)
    begun = fast.logits(resid=fast.residual(OBSERVATIONS, 2), start=2, fwd_hooks=hooks)
    torch.testing.assert_close(begun, fast.logits(OBSERVATIONS, fwd_hooks=hooks), atol=1e-5, rtol=0)


@pytest.mark.parametrize("point", ["attn.hook_pattern", "mlp.hook_post", "attn.hook_z"])
def test_any_other_hook_falls_back_to_transformer_lens(model, point):
    hooks = [(f"blocks.1.{point}", lambda x, hook: x * 0)]
    fast = FastPath(model).logits(OBSERVATIONS, fwd_hooks=hooks)
    slow = model.hooked.run_with_hooks(OBSERVATIONS, fwd_hooks=hooks)
    torch.testing.assert_close(fast, slow, atol=1e-5, rtol=0)


def test_any_other_hook_is_honoured_from_a_layer_too(model):
    hooks = [("blocks.2.attn.hook_pattern", lambda x, hook: x * 0)]
    fast = FastPath(model)
    begun = fast.logits(resid=fast.residual(OBSERVATIONS, 1), start=1, fwd_hooks=hooks)
    slow = model.hooked.run_with_hooks(OBSERVATIONS, fwd_hooks=hooks)
    torch.testing.assert_close(begun, slow, atol=1e-5, rtol=0)


def test_cached_decoding_refuses_other_hooks(model):
    fast = FastPath(model)
    hooks = [("blocks.1.hook_mlp_out", lambda x, hook: x)]
    with pytest.raises(ValueError, match="residual stream only"):
        fast.logits(OBSERVATIONS[:, :1], fwd_hooks=hooks, cache=fast.cache(6, 2))


def test_the_fast_path_sees_new_weights(model):
    fast = FastPath(model)
    with torch.no_grad():
        fast.logits(OBSERVATIONS)
        for parameter in model.parameters():
            parameter.mul_(1.1)
        torch.testing.assert_close(
            fast.logits(OBSERVATIONS), model(OBSERVATIONS), atol=1e-5, rtol=0
        )


def test_only_the_past_matters(model):
    changed = OBSERVATIONS.clone()
    changed[:, 5:] = OBSERVATIONS[:, :1]
    logits = FastPath(model).logits
    torch.testing.assert_close(logits(changed)[:, :5], logits(OBSERVATIONS)[:, :5])


def test_hash_names_the_weights():
    assert make_model(0).hash() == make_model(0).hash() != make_model(1).hash()


def test_weights_of_another_shape_are_refused(model):
    other = dict(model.weights())
    name = "hooked.blocks.0.mlp.W_in"
    other[name] = other[name][:, :3]
    with pytest.raises(ValueError, match=r"W_in.*\(32, 3\).*\(32, 64\)"):
        model.load_weights(other)
    del other[name]
    with pytest.raises(ValueError, match="missing from the checkpoint"):
        model.load_weights(other)


def test_layers_are_counted_from_one():
    with pytest.raises(ValueError, match="layer 0"):
        hook_name(0)


def test_actions_are_never_inputs(model):
    other = replace(BATCH, actions=1 - np.minimum(BATCH.actions, 1))
    with torch.no_grad():
        logits, following = predictions(model, FastPath(model), BATCH)
        other_logits, other_following = predictions(model, FastPath(model), other)
    assert torch.equal(following, other_following)
    assert torch.equal(logits, other_logits)
