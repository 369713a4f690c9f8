"""Patches: what they write, where, and what they refuse."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from irl_lens.hooks import (
    AblatePatch,
    ActivationMean,
    InterpolatePatch,
    ReplacePatch,
    SubspacePatch,
    TransplantPatch,
    starting_at,
)
from irl_lens.hooks.patches.ablate import another_row

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
    position = (slice(None, None, 2), 4, 1) if name == Z else (slice(None, None, 2), 4)
    expected[position] = other[name][position]
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


@pytest.mark.parametrize("name", [HOOK, Z, PATTERN])
def test_a_mean_over_batches_is_the_mean_of_all(model, name):
    tokens = torch.randint(11, (8, STEPS), generator=torch.Generator().manual_seed(1))
    whole = model.run_with_cache(tokens, names_filter=name)[1][name]
    mean = ActivationMean(name)
    for rows in tokens.split([1, 5, 2]):
        mean.add(model.run_with_cache(rows, names_filter=name)[1][name])
    assert mean.count == 8 * STEPS and mean.value.dtype == whole.dtype
    at_once = AblatePatch(name, "mean", whole)
    torch.testing.assert_close(mean.value, at_once.reference)
    torch.testing.assert_close(AblatePatch(name, "mean", mean.value)(whole), at_once(whole))


def test_padding_does_not_count_in_a_mean():
    x = torch.randn(ROWS, STEPS, D)
    valid = torch.rand(ROWS, STEPS, generator=torch.Generator().manual_seed(0)) < 0.5
    mean, padded = ActivationMean(HOOK), x.masked_fill(~valid[..., None], torch.nan)
    mean.add(padded[:1], valid[:1])
    mean.add(padded[1:], valid[1:])
    assert mean.count == valid.sum()
    torch.testing.assert_close(mean.value[0, 0], x[valid].mean(0))


def test_a_mean_does_not_lose_small_values_to_large_ones():
    mean = ActivationMean(HOOK)
    for value in (1e8, 1.0, -1e8):
        mean.add(torch.full((1, 1, 1), value))
    assert mean.value.item() == torch.tensor(1 / 3).item()


def test_what_a_mean_refuses():
    mean = ActivationMean(HOOK)
    with pytest.raises(ValueError, match="has been added yet"):
        mean.value  # noqa: B018
    mean.add(torch.ones(1, 1, D), torch.tensor([[False]]))
    with pytest.raises(ValueError, match="has been added yet"):
        mean.value  # noqa: B018
    with pytest.raises(ValueError, match=r"mask is torch\.bool \(1, 2\); .* \(1, 1\)"):
        mean.add(torch.ones(1, 1, D), torch.tensor([[True, False]]))
    with pytest.raises(ValueError, match=r"carries \(15,\), those before \(16,\)"):
        mean.add(torch.ones(1, 1, 15))


def test_transplants():
    x, source = torch.randn(ROWS, STEPS, D), torch.randn(2, 9, D)
    positions = {(0, 5): (1, 8), (2, 0): (0, 0)}
    expected = x.clone()
    expected[0, 5], expected[2, 0] = source[1, 8], source[0, 0]
    lines = torch.tensor([[2, 0, 0, 0], [0, 5, 1, 8]], dtype=torch.int32)
    for patch in (
        TransplantPatch(source, HOOK, positions),
        TransplantPatch.from_cache({HOOK: source}, HOOK, lines),
    ):
        assert torch.equal(patch(x), expected)
    assert torch.equal(TransplantPatch(source, HOOK, {})(x), x)


def test_a_transplant_moves_what_comes_after_it_in_its_row_alone(model, tokens, other):
    _, plain = model.run_with_cache(tokens)
    with TransplantPatch(other[HOOK], HOOK, {(0, 2): (1, 4)}).attached(model):
        _, patched = model.run_with_cache(tokens)
    assert torch.equal(patched[HOOK][0, 2], other[HOOK][1, 4])
    changed = (patched["ln_final.hook_normalized"] != plain["ln_final.hook_normalized"]).any(-1)
    assert changed.tolist() == [[False, False, *[True] * 4], [False] * 6, [False] * 6]


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        ({(0, 0): (2, 0)}, "source row 2, of a source of 2 rows; the last is 1"),
        ({(0, 0): (0, 9)}, "source step 9, of a source of 9 steps; the last is 8"),
        ({(0, -1): (0, 0)}, "position -1 is before the first"),
        (torch.tensor([[0, 1, 0, 0], [0, 1, 1, 1]]), "written twice"),
        (torch.zeros(2, 3, dtype=torch.long), r"positions are \(2, 3\)"),
        (torch.zeros(2, 4), "torch.float32; give integers"),
    ],
)
def test_positions_that_are_none_are_refused(positions, message):
    with pytest.raises(ValueError, match=message):
        TransplantPatch(torch.zeros(2, 9, D), HOOK, positions)


@pytest.mark.parametrize(
    ("position", "message"),
    [
        ((3, 0), "row 3 at .* has 3 rows here; the last is 2"),
        ((0, 6), "step 6 at .* has 6 steps here; the last is 5"),
    ],
)
def test_positions_outside_are_refused(position, message):
    with pytest.raises(ValueError, match=message):
        TransplantPatch(torch.zeros(1, 9, D), HOOK, {position: (0, 0)})(torch.zeros(ROWS, STEPS, D))
    with pytest.raises(ValueError, match=r"carries \(15,\), one of .* \(16,\)"):
        TransplantPatch(torch.zeros(1, 9, 15), HOOK, {})(torch.zeros(ROWS, STEPS, D))


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
    with pytest.raises(ValueError, match=r"must be \[vectors, width\]"):
        SubspacePatch(torch.ones(D), HOOK)
    with pytest.raises(ValueError, match=r"in 15 dimensions, the activation in 16"):
        SubspacePatch(torch.ones(1, 15), HOOK)(x)


def test_a_subspace_can_be_trained():
    """Gradient descent finds the direction that, taken out, leaves least of a rank-one signal."""
    torch.manual_seed(0)
    signal = nn.functional.normalize(torch.randn(D), dim=0)
    x = torch.randn(8, STEPS, 1) * signal
    patch = SubspacePatch(nn.Parameter(torch.randn(1, D)), HOOK)
    optimizer = torch.optim.Adam(patch.parameters(), lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        patch(x).square().mean().backward()
        optimizer.step()
    assert (patch.directions[:, 0] @ signal).abs() > 0.99


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ({"rows": [3]}, "row 3 at .* has 3 rows here; the last is 2"),
        ({"steps": [6]}, "step 6 at .* has 6 steps here; the last is 5"),
        ({"steps": [-1]}, "step -1 is before the first, 0"),
        ({"heads": [0]}, "has no axis of heads"),
    ],
)
def test_addresses_outside_are_refused(address, message):
    with pytest.raises(ValueError, match=message):
        AblatePatch(HOOK, **address)(torch.zeros(ROWS, STEPS, D))


def test_rows_and_heads_outside_are_refused_in_a_window_too():
    """Steps outside it come later or came before; rows and heads never come."""
    for patch in (AblatePatch(Z, rows=[3]), AblatePatch(Z, heads=[2])):
        with starting_at(4), pytest.raises(ValueError, match="the last is"):
            patch(torch.zeros(ROWS, 1, 2, 8))


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
    with pytest.raises(ValueError, match="takes no reference"):
        AblatePatch(HOOK, "zero", x)
    with pytest.raises(ValueError, match="at least 2 rows"):
        AblatePatch(HOOK, "resample", torch.zeros(1, STEPS, D))
    with pytest.raises(ValueError, match=r"a reference \(16,\); give at least 2 rows"):
        AblatePatch(HOOK, "resample", torch.zeros(D))
    with pytest.raises(ValueError, match="'median'; there are"):
        AblatePatch(HOOK, "median")  # type: ignore[arg-type]
