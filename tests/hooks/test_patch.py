"""Patches: what they write, where, and what they refuse."""

from __future__ import annotations

import pytest
import torch

from irl_lens.hooks import AblatePatch, InterpolatePatch, ReplacePatch, SubspacePatch
from irl_lens.hooks.patch import another_row

D, ROWS, STEPS = 16, 3, 6
HOOK = "blocks.1.hook_resid_post"
Z = "blocks.1.attn.hook_z"
PATTERN = "blocks.1.attn.hook_pattern"


@pytest.fixture
def other(model, tokens):
    """The cache of another batch."""
    return model.run_with_cache(tokens.flip(0, 1))[1]


def test_a_whole_patch_from_a_cache_is_that_run_from_there_on(model, tokens, other):
    with ReplacePatch.from_cache(other, HOOK).attached(model):
        _, patched = model.run_with_cache(tokens)
    assert torch.equal(patched["ln_final.hook_normalized"], other["ln_final.hook_normalized"])


@pytest.mark.parametrize("name", [HOOK, Z])
def test_only_the_address_changes(model, tokens, other, name):
    _, plain = model.run_with_cache(tokens)
    heads = [1] if name == Z else None
    with ReplacePatch.from_cache(other, name, rows=[0, 2], steps=[4], heads=heads).attached(model):
        _, patched = model.run_with_cache(tokens)
    expected = plain[name].clone()
    place = (slice(None, None, 2), 4, 1) if name == Z else (slice(None, None, 2), 4)
    expected[place] = other[name][place]
    assert torch.equal(patched[name], expected)


def test_attention_patterns_have_heads_second_and_steps_third(model, tokens, other):
    _, plain = model.run_with_cache(tokens)
    patch = ReplacePatch.from_cache(other, PATTERN, rows=[1], steps=[3], heads=[0])
    with patch.attached(model):
        _, patched = model.run_with_cache(tokens)
    expected = plain[PATTERN].clone()
    expected[1, 0, 3] = other[PATTERN][1, 0, 3]
    assert torch.equal(patched[PATTERN], expected)


def test_ablations():
    x, reference = torch.randn(ROWS, STEPS, D), torch.randn(5, STEPS, D)
    assert not AblatePatch(HOOK)(x).any()
    mean = AblatePatch(HOOK, "mean", reference)(x)
    torch.testing.assert_close(mean, reference.mean((0, 1)).expand_as(x))
    rows = torch.randn(ROWS, STEPS, D)
    resample = AblatePatch(HOOK, "resample", rows, seed=3)
    assert torch.equal(resample(x), rows[another_row(ROWS, 3)])
    assert torch.equal(resample(x), resample(x))


@pytest.mark.parametrize("rows", [2, 3, 8])
def test_resampling_never_takes_the_same_row(rows):
    taken = another_row(rows, seed=0)
    assert sorted(taken) == list(range(rows))
    assert all(a != b for a, b in enumerate(taken))


def test_interpolation():
    x, value = torch.randn(ROWS, STEPS, D), torch.randn(ROWS, STEPS, D)
    assert torch.equal(InterpolatePatch(value, HOOK, 0.0)(x), x)
    assert torch.equal(InterpolatePatch(value, HOOK, 1.0)(x), value)
    torch.testing.assert_close(InterpolatePatch(value, HOOK, 0.25)(x), 0.75 * x + 0.25 * value)
    patch = InterpolatePatch.from_cache({HOOK: value}, HOOK, weight=1.0, rows=[0])
    assert torch.equal(patch(x)[0], value[0]) and torch.equal(patch(x)[1:], x[1:])


def test_subspaces():
    x, source, basis = torch.randn(ROWS, STEPS, D), torch.randn(ROWS, STEPS, D), torch.randn(3, D)
    out = SubspacePatch(basis, HOOK)(x)
    torch.testing.assert_close(out @ basis.mT, torch.zeros(ROWS, STEPS, 3), atol=1e-4, rtol=0)
    swapped = SubspacePatch(basis, HOOK, source)(x)
    torch.testing.assert_close(swapped @ basis.mT, source @ basis.mT, atol=1e-4, rtol=1e-4)
    complement = torch.linalg.qr(torch.cat([basis, torch.randn(D - 3, D)]).mT)[0][:, 3:]
    for patched in (out, swapped):
        torch.testing.assert_close(patched @ complement, x @ complement, atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="2 vectors span 1"):
        SubspacePatch(torch.ones(2, D), HOOK)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ({"rows": [3]}, "row 3 at .* has 3 rows here; the last is 2"),
        ({"steps": [6]}, "step 6 at .* has 6 steps here; the last is 5"),
        ({"steps": [-1]}, "step -1 at"),
        ({"heads": [0]}, "has no axis of heads"),
    ],
)
def test_addresses_outside_are_refused(address, message):
    with pytest.raises(ValueError, match=message):
        AblatePatch(HOOK, **address)(torch.zeros(ROWS, STEPS, D))


def test_a_head_outside_is_refused():
    with pytest.raises(ValueError, match=r"head 2 at .* has 2 heads"):
        AblatePatch(Z, heads=[2])(torch.zeros(ROWS, STEPS, 2, 8))


def test_values_and_references_are_checked():
    x = torch.zeros(ROWS, STEPS, D)
    with pytest.raises(ValueError, match=r"value is \(3, 6, 15\).*carries \(3, 6, 16\)"):
        ReplacePatch(torch.zeros(ROWS, STEPS, 15), HOOK)(x)
    with pytest.raises(ValueError, match="the cache has no"):
        ReplacePatch.from_cache({}, HOOK)
    with pytest.raises(ValueError, match="needs a reference"):
        AblatePatch(HOOK, "mean")
    with pytest.raises(ValueError, match="at least 2 rows"):
        AblatePatch(HOOK, "resample", torch.zeros(1, STEPS, D))
    with pytest.raises(ValueError, match="'median'; there are"):
        AblatePatch(HOOK, "median")  # type: ignore[arg-type]
