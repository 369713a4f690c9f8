"""Interventions at several hook points that are attached, masked and saved as one."""

from __future__ import annotations

import pytest
import torch
from transformer_lens.cache.key_value_cache import TransformerLensKeyValueCache

from irl_lens.hooks import (
    AblatePatch,
    FullController,
    Mask,
    ReplacePatch,
    Together,
    VectorController,
    hook_points,
    load,
    save,
)

D = 16
NAMES = ["hook_embed", *(f"blocks.{layer}.hook_resid_post" for layer in range(3))]


@pytest.fixture
def every() -> Together:
    generator = torch.Generator().manual_seed(0)
    return Together(*(FullController.random(D, n, 0.5, generator=generator) for n in NAMES))


def by_hand(every: Together, names, factor: float = 1):
    """The same in plain functions."""
    members = [m for m in every.members if isinstance(m, FullController)]
    matrices = {m.hook_name: m.U.detach() for m in members}
    return [(name, lambda t, hook: t + factor * t @ matrices[hook.name].mT) for name in names]


def test_it_is_all_of_them(model, tokens, every):
    expected = model.run_with_hooks(tokens, fwd_hooks=by_hand(every, NAMES))
    assert [name for name, _ in every.fwd_hooks()] == NAMES
    torch.testing.assert_close(model.run_with_hooks(tokens, fwd_hooks=every.fwd_hooks()), expected)
    plain = model(tokens)
    with every.attached(model) as handle:
        torch.testing.assert_close(model(tokens), expected)
    assert handle.fired == dict.fromkeys(NAMES, 1)
    assert torch.equal(model(tokens), plain) and not torch.allclose(plain, expected)


@pytest.mark.parametrize("layers", [[1], [3, 2], range(1, 4), []])
def test_layers_are_masked(model, tokens, every, layers):
    some, names = every.in_layers(layers), [NAMES[layer] for layer in sorted(layers)]
    assert [name for name, _ in some.fwd_hooks()] == names
    expected = model.run_with_hooks(tokens, fwd_hooks=by_hand(every, names))
    with some.attached(model):
        torch.testing.assert_close(model(tokens), expected)


def test_layers_that_are_not_there_are_refused(every):
    with pytest.raises(ValueError, match=r"nothing acts in layers \[4, 7\]; .*blocks\.2"):
        every.in_layers([7, 2, 4])
    with pytest.raises(ValueError, match=r"layers \[1\]; there is nothing"):
        Together().in_layers([1])
    with pytest.raises(ValueError, match="counted from 1"):
        every.in_layers([0, 1])


def test_layers_not_addressed_are_bit_identical(model, tokens, every):
    _, plain = model.run_with_cache(tokens)
    with every.in_layers([3]).attached(model):
        _, controlled = model.run_with_cache(tokens)
    for name in plain:
        if name.startswith(("hook_", "blocks.0.", "blocks.1.")):
            assert torch.equal(controlled[name], plain[name]), name
    assert not torch.equal(controlled[NAMES[3]], plain[NAMES[3]])


def test_it_is_scaled_and_masked_as_one(model, tokens, every):
    expected = model.run_with_hooks(tokens, fwd_hooks=by_hand(every, NAMES, -0.5))
    with (-every * 0.5).attached(model):
        torch.testing.assert_close(model(tokens), expected)
    plain = model(tokens)
    with every.each(lambda member: Mask(member, rows=[1])).attached(model):
        masked = model(tokens)
    assert torch.equal(masked[[0, 2]], plain[[0, 2]]) and not torch.equal(masked[1], plain[1])


def test_it_is_shifted_as_one_in_cached_decoding(model, tokens):
    both = Together(
        VectorController(torch.randn(1, 6, D), NAMES[1]),
        Mask(VectorController(torch.randn(D), NAMES[2]), steps=[4]),
    )
    cache = TransformerLensKeyValueCache.init_cache(model.cfg, "cpu", len(tokens))
    with both.attached(model) as handle:
        full, decoded = model(tokens), []
        for token in tokens.split(1, 1):
            ones = torch.ones_like(token)
            decoded.append(model(token, past_kv_cache=cache, attention_mask=ones))
    assert handle.fired == dict.fromkeys(NAMES[1:3], 7)
    torch.testing.assert_close(torch.cat(decoded, 1), full, atol=1e-4, rtol=0)


def test_gradients_reach_every_layer(model, tokens, every):
    model.run_with_hooks(tokens, fwd_hooks=every.fwd_hooks()).square().sum().backward()
    assert len(list(every.parameters())) == 4
    assert all(p.grad is not None and p.grad.any() for p in every.parameters())
    assert all(p.grad is None for p in model.parameters())


def test_sets_of_sets_are_one_set(every):
    patch = AblatePatch("blocks.1.hook_mlp_out")
    both = Together(every, patch)
    assert both.members == (*every.members, patch)
    assert both.in_layers([2]).members == (every.members[2], patch)


def test_round_trip(tmp_path, model, tokens, every):
    loaded = load(save(every, tmp_path))
    assert isinstance(loaded, Together) and loaded.hook_name == every.hook_name
    hooks = (every.fwd_hooks(), loaded.fwd_hooks())
    ours, theirs = (model.run_with_hooks(tokens, fwd_hooks=h) for h in hooks)
    assert torch.equal(ours, theirs)


def test_two_at_one_hook_point_are_refused(every):
    with pytest.raises(ValueError, match=r"at blocks\.1\.hook_resid_post; .*Compose"):
        Together(every, AblatePatch(NAMES[2]))


def test_it_acts_on_no_single_tensor_unless_it_is_one(every):
    x = torch.randn(3, 6, D)
    with pytest.raises(TypeError, match=r"4 interventions, at hook_embed, .*attach them"):
        every(x)
    with pytest.raises(TypeError, match="0 interventions, at no hook point"):
        Together()(x)
    one = every.in_layers([2])
    assert torch.equal((2 * one)(x), (2 * every.members[2])(x))
    assert torch.equal(Mask(one, steps=[])(x), x)


def test_one_wrong_name_attaches_none(model):
    wrong = AblatePatch("blocks.9.hook_mlp_out")
    both = Together(ReplacePatch(torch.zeros(1, 1, D), NAMES[1]), wrong)
    with pytest.raises(ValueError, match=r"blocks\.9\.hook_mlp_out"), both.attached(model):
        pass
    assert not any(point._forward_hooks for point in hook_points(model).values())
