"""Patches and controllers at every TransformerLens hook point, against hooks written by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from transformer_lens import HookedTransformer, HookedTransformerConfig
from transformer_lens.cache.key_value_cache import TransformerLensKeyValueCache

from irl_lens.hooks import (
    AblatePatch,
    CodeController,
    ControllerBank,
    FullController,
    HypernetworkDecoder,
    Interpolate,
    InterpolatePatch,
    Intervention,
    LowRankController,
    Mask,
    Patch,
    ReplacePatch,
    SubspacePatch,
    Sum,
    TransplantPatch,
    VectorController,
)

ROWS, STEPS, HEADS = 3, 6, 2
B = "blocks.1."
BY_STEP = [
    *("hook_embed", "hook_pos_embed"),
    *(B + f"hook_{name}" for name in ("resid_pre", "resid_mid", "resid_post")),
    *(B + f"hook_{name}" for name in ("attn_out", "mlp_in", "mlp_out")),
    *(B + name for name in ("mlp.hook_pre", "mlp.hook_post", "ln2.hook_normalized")),
    "ln_final.hook_normalized",
]
BY_HEAD = [
    *(B + f"attn.hook_{name}" for name in ("q", "k", "v", "z", "result", "rot_q", "rot_k")),
    *(B + f"hook_{name}" for name in ("q_input", "k_input", "v_input", "attn_in")),
]
PATTERN, SCORES = B + "attn.hook_pattern", B + "attn.hook_attn_scores"
EVERY = [*BY_STEP, *BY_HEAD, PATTERN, SCORES]


def make_model(**options) -> HookedTransformer:
    config = HookedTransformerConfig(
        n_layers=2,
        d_model=16,
        n_heads=HEADS,
        d_head=8,
        d_mlp=32,
        act_fn="relu",
        n_ctx=16,
        d_vocab=11,
        use_attn_result=True,
        use_hook_mlp_in=True,
        seed=0,
        device="cpu",
        **options,
    )
    return HookedTransformer(config).requires_grad_(False).eval()


MODELS = {
    "standard": make_model(use_split_qkv_input=True),
    "rotary": make_model(positional_embedding_type="rotary", rotary_dim=8, use_attn_in=True),
}


def model_with(name: str) -> HookedTransformer:
    """The model that runs the hook point."""
    rotary = name.endswith(("rot_q", "rot_k", "attn_in"))
    return MODELS["rotary" if rotary else "standard"]


def position(name: str, row: int, step: int, head: int) -> tuple[int, ...]:
    """Where a row, step and head are, written out for each layout."""
    if name in (PATTERN, SCORES):
        return row, head, step
    return (row, step, head) if name in BY_HEAD else (row, step)


def by_hand(name: str, rows, steps, heads, new: Callable[[Tensor, tuple], Tensor]):
    """A plain TransformerLens hook that writes new(x, where) position by position."""

    def hook(x: Tensor, hook) -> Tensor:
        y, seen = x.clone(), x.masked_fill(x == -torch.inf, 0)
        for row in rows:
            for step in steps:
                for head in heads:
                    where = position(name, row, step, head)
                    y[where] = torch.where(x[where] == -torch.inf, x[where], new(seen, where))
        return y

    return [(name, hook)]


@pytest.fixture(params=EVERY)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def other(name, tokens) -> Tensor:
    """What the hook point carries for another batch; scaled, as positions are all the same."""
    return 1.5 * model_with(name).run_with_cache(tokens.flip(0, 1), names_filter=name)[1][name]


@pytest.mark.parametrize("kind", ["low rank", "full", "vector", "labelled", "codes"])
@pytest.mark.parametrize("steps", [STEPS, ROWS, HEADS])
def test_controllers_by_row_and_step_where_there_are_heads(kind, steps, tokens):
    """As many steps as rows, or as heads, must not make one stand for the other."""
    name, model, rows = B + "hook_q_input", MODELS["standard"], steps if steps < STEPS else ROWS
    x = model.run_with_cache(tokens[:rows, :steps], names_filter=name)[1][name]
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    A, U, v = random(rows, steps, 4, 16), random(rows, steps, 16, 16), random(rows, steps, 16)
    labels = torch.randint(-1, 3, (rows, steps), generator=generator)
    bank = ControllerBank("abc", FullController(random(3, 16, 16), name))
    decoder, z = HypernetworkDecoder(5, 8, 16, 4, generator=generator), random(rows, steps, 5)
    by_step: dict[str, tuple[Intervention, Callable[[int, int], Intervention]]] = {
        "low rank": (
            LowRankController(A, A.mT, name),
            lambda i, t: LowRankController(A[i, t], A[i, t].mT, name),
        ),
        "full": (FullController(U, name), lambda i, t: FullController(U[i, t], name)),
        "vector": (VectorController(v, name), lambda i, t: VectorController(v[i, t], name)),
        "labelled": (bank.labelled(labels), lambda i, t: bank.select(labels[i, t])),
        "codes": (
            CodeController(decoder, z, name),
            lambda i, t: LowRankController.from_latent(decoder, z[i, t], name),
        ),
    }
    whole, alone = by_step[kind]
    changed = whole(x)
    for i in range(rows):
        for t in range(steps):
            here = alone(i, t)(x[i : i + 1, t : t + 1])[0, 0]
            torch.testing.assert_close(changed[i, t], here, atol=1e-4, rtol=1e-4)
    by_row = VectorController(v[:, 0], name)(x)
    torch.testing.assert_close(by_row - x, v[:, None, None, 0].expand_as(x))


ROWS_STEPS = {"rows": [0, 2], "steps": [1, 4]}


@pytest.mark.parametrize("kind", ["replace", "zero", "mean", "interpolate", "remove"])
def test_against_hooks_written_by_hand(name, other, tokens, kind):
    model, headed = model_with(name), name not in BY_STEP
    address: dict[str, Any] = {**ROWS_STEPS, **({"heads": [1]} if headed else {})}
    reference = other.clamp(min=-9)  # scores are minus infinity where they are hidden
    mean = reference.mean((0, 2 if name in (PATTERN, SCORES) else 1))
    width = other.shape[-1]
    direction = torch.randn(1, width, generator=torch.Generator().manual_seed(0))
    unit = (direction / direction.norm())[0]
    cases: dict[str, tuple[Patch, Callable]] = {
        "replace": (ReplacePatch(other, name, **address), lambda x, at: other[at]),
        "zero": (AblatePatch(name, **address), lambda x, at: torch.zeros(width)),
        "mean": (
            AblatePatch(name, "mean", reference, **address),
            lambda x, at: mean[1] if headed else mean,
        ),
        "interpolate": (
            InterpolatePatch(other, name, 0.3, **address),
            lambda x, at: 0.7 * x[at] + 0.3 * other[at],
        ),
        "remove": (
            SubspacePatch(direction, name, **address),
            lambda x, at: x[at] - (x[at] @ unit) * unit,
        ),
    }
    patch, new = cases[kind]
    hand = by_hand(name, **ROWS_STEPS, heads=[1], new=new)
    expected = model.run_with_hooks(tokens, fwd_hooks=hand)
    with patch.attached(model) as handle:
        patched = model(tokens)
    assert handle.fired == {name: 1}
    torch.testing.assert_close(patched, expected, atol=1e-5, rtol=0)
    assert not torch.equal(patched[0], model(tokens)[0])
    assert torch.equal(patched[1], model(tokens)[1])


def test_a_transplant_against_a_hook_written_by_hand(name, other, tokens):
    model = model_with(name)
    positions = {(0, 4): (2, 3), (2, 5): (1, 5), (2, 1): (0, 0)}

    def hook(x: Tensor, hook) -> Tensor:
        y = x.clone()
        for (row, step), (source_row, source_step) in positions.items():
            for head in range(HEADS):
                there = position(name, source_row, source_step, head)
                y[position(name, row, step, head)] = other[there]
        return torch.where(x == -torch.inf, x, y)

    with TransplantPatch(other, name, positions).attached(model):
        patched = model(tokens)
    assert torch.equal(patched, model.run_with_hooks(tokens, fwd_hooks=[(name, hook)]))
    assert not torch.equal(patched, model(tokens))


def test_cached_decoding(name, other, tokens):
    model, heads = model_with(name), None if name in BY_STEP else [1]
    positions = {(0, 4): (2, 3), (2, 5): (1, 5), (2, 1): (0, 0)}
    for patch in (
        ReplacePatch(other, name, rows=[0], steps=[1, 4], heads=heads),
        AblatePatch(name, steps=[2, 3], heads=heads),
        TransplantPatch(other, name, positions, heads=heads),
        SubspacePatch(torch.eye(16)[:1, : other.shape[-1]], name, other, steps=[2])
        if name in BY_HEAD
        else InterpolatePatch(other, name, 0.3, steps=[2]),
    ):
        with patch.attached(model):
            whole = model(tokens)
        cache = TransformerLensKeyValueCache.init_cache(model.cfg, "cpu", ROWS)
        decoded = []
        with patch.attached(model):
            for window in tokens.split([2, 1, 1, 2], dim=1):
                ones = torch.ones_like(window)
                decoded.append(model(window, past_kv_cache=cache, attention_mask=ones))
        torch.testing.assert_close(torch.cat(decoded, 1), whole, atol=1e-4, rtol=0)


def test_patterns_are_query_by_key(tokens):
    model = MODELS["standard"]
    patch = AblatePatch(PATTERN, rows=[1], steps=[4], heads=[0], keys=[2])
    with patch.attached(model):
        _, patched = model.run_with_cache(tokens)
    _, plain = model.run_with_cache(tokens)
    expected = plain[PATTERN].clone()
    expected[1, 0, 4, 2] = 0
    assert plain[PATTERN][1, 0, 4, 2] > 0
    assert torch.equal(patched[PATTERN], expected)
    z, v = B + "attn.hook_z", B + "attn.hook_v"
    torch.testing.assert_close(patched[z][1, 4, 0], expected[1, 0, 4] @ plain[v][1, :, 0])
    changed = (patched[z] != plain[z]).any(-1)
    assert changed.nonzero().tolist() == [[1, 4, 0]]


def test_a_key_knocked_out_by_its_score_is_not_attended_to(tokens):
    model = MODELS["standard"]
    patch = ReplacePatch(torch.tensor(-torch.inf), SCORES, keys=[2], steps=[3, 4, 5])
    with patch.attached(model):
        _, patched = model.run_with_cache(tokens)
    pattern = patched[PATTERN]
    assert not pattern[:, :, 3:, 2].any() and pattern[:, :, 2, 2].all()
    torch.testing.assert_close(pattern.sum(-1), torch.ones(ROWS, HEADS, STEPS))


def test_scores_that_the_mask_hides_stay_hidden(tokens):
    model = MODELS["standard"]
    for patch in (AblatePatch(SCORES), InterpolatePatch(torch.tensor(0.0), SCORES, 1.0)):
        with patch.attached(model):
            _, patched = model.run_with_cache(tokens)
        uniform = torch.ones(STEPS, STEPS).tril() / torch.arange(1.0, STEPS + 1).unsqueeze(1)
        torch.testing.assert_close(patched[PATTERN], uniform.expand(ROWS, HEADS, STEPS, STEPS))


def test_combined_patches_of_scores_leave_what_is_hidden(tokens):
    model = MODELS["standard"]
    _, plain = model.run_with_cache(tokens)
    half, zero = plain[SCORES] / 2, AblatePatch(SCORES)
    for combined in (
        zero * 0.5,
        Sum(zero, -zero, 0.5 * zero),
        Interpolate(zero, Mask(zero, steps=[]), 0.5),
    ):
        with combined.attached(model):
            _, patched = model.run_with_cache(tokens)
        torch.testing.assert_close(patched[SCORES], half)
        assert patched[PATTERN].isfinite().all()


def test_a_mean_that_is_no_number_is_refused(tokens):
    scores = MODELS["standard"].run_with_cache(tokens)[1][SCORES]
    for reference in (scores, torch.full_like(scores, torch.nan)):
        with pytest.raises(ValueError, match=r"not finite; .* ablate hook_pattern"):
            AblatePatch(SCORES, "mean", reference)


def test_axes_that_are_not_there_are_refused(tokens):
    addresses: list[tuple[dict[str, Any], str]] = [
        ({"heads": [0]}, r"heads \(0,\) at blocks.1.hook_mlp_out, which has no axis of heads"),
        ({"keys": [0]}, "which has no axis of attended steps"),
    ]
    for address, message in addresses:
        with (
            pytest.raises(ValueError, match=message),
            AblatePatch(B + "hook_mlp_out", **address).attached(MODELS["standard"]),
        ):
            MODELS["standard"](tokens)
    with pytest.raises(ValueError, match="no axis of attended steps"):
        AblatePatch(B + "attn.hook_z", keys=[0])(torch.zeros(ROWS, STEPS, HEADS, 8))
    with pytest.raises(ValueError, match=r"attended step 6 at .* the last is 5"):
        AblatePatch(PATTERN, keys=[6])(torch.zeros(ROWS, HEADS, STEPS, STEPS))


@pytest.mark.parametrize(
    "point", ["attn.hook_result", "hook_q_input", "hook_mlp_in", "hook_attn_in"]
)
def test_a_point_that_the_model_does_not_run_is_refused(model, point):
    controller = VectorController(torch.zeros(16), B + point)
    with (
        pytest.raises(ValueError, match=f"does not run {B + point}: Cannot add hook"),
        controller.attached(model),
    ):
        pass
