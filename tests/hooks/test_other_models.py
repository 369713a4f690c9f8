"""On models that are not ours: a language model, TransformerLens' bridge, a bare hooked module.

Against plain hooks on each.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from irl_lens.hooks import (
    AblatePatch,
    CodeController,
    Compose,
    ControllerBank,
    FullController,
    HypernetworkDecoder,
    InterpolatePatch,
    Intervention,
    LowRankController,
    Mask,
    ReplacePatch,
    Scale,
    Sequence,
    SubspacePatch,
    Sum,
    TransplantPatch,
    VectorController,
)

D, R, ROWS, STEPS = 16, 4, 3, 6
generator = torch.Generator().manual_seed(0)
A, U, v = (torch.randn(*shape, D, generator=generator) for shape in ((R,), (D,), ()))
B, other = torch.randn(D, R, generator=generator), torch.randn(ROWS, STEPS, D, generator=generator)
axis = torch.nn.functional.normalize(v, dim=0)
labels = torch.tensor([[0, 1, 1, -1, -1, 0]] * ROWS)
decoder, z = HypernetworkDecoder(5, 8, D, R), torch.randn(ROWS, STEPS, 5, generator=generator)


def both(at: str) -> VectorController:
    return VectorController(torch.stack([v, -v]), at)


Hook = Callable[[Tensor], Tensor]
CASES: dict[str, tuple[Callable[[str], Intervention], Hook]] = {
    "low rank": (lambda at: LowRankController(A, B, at), lambda e: e + e @ A.T @ B.T),
    "full": (lambda at: FullController(U, at), lambda e: e + e @ U.T),
    "vector": (lambda at: VectorController(v, at), lambda e: e + v),
    "bank": (
        lambda at: ControllerBank("ab", both(at)).labelled(labels),
        lambda e: e + torch.tensor([1.0, -1.0, 0.0])[labels][..., None] * v,
    ),
    "codes": (
        lambda at: CodeController(decoder, z, at),
        lambda e: e + torch.einsum("ijrd,ijre,ije->ijd", decoder(z)[1], decoder(z)[0], e),
    ),
    "scale": (lambda at: Scale(VectorController(v, at), -2.0), lambda e: e - 2 * v),
    "sum": (
        lambda at: Sum(FullController(U, at), VectorController(v, at)),
        lambda e: e + e @ U.T + v,
    ),
    "compose": (
        lambda at: Compose(VectorController(v, at), FullController(U, at)),
        lambda e: (e + v) + (e + v) @ U.T,
    ),
    "sequence": (
        lambda at: Sequence(VectorController(v, at), AblatePatch(at), 4),
        lambda e: torch.cat([e[:, :4] + v, 0 * e[:, 4:]], dim=1),
    ),
    "mask": (
        lambda at: Mask(VectorController(v, at), rows=[1]),
        lambda e: e + torch.tensor([0.0, 1.0, 0.0])[:, None, None] * v,
    ),
    "replace": (
        lambda at: ReplacePatch(other, at, steps=[5]),
        lambda e: torch.cat([e[:, :5], other[:, 5:]], dim=1),
    ),
    "transplant": (
        lambda at: TransplantPatch(other, at, {(i, 0): (2, 3) for i in range(ROWS)}),
        lambda e: torch.cat([other[2:, 3:4].expand(ROWS, 1, D), e[:, 1:]], dim=1),
    ),
    "ablate": (lambda at: AblatePatch(at), lambda e: 0 * e),
    "interpolate": (
        lambda at: InterpolatePatch(other, at, 0.25),
        lambda e: 0.75 * e + 0.25 * other,
    ),
    "subspace": (lambda at: SubspacePatch(v[None], at), lambda e: e - (e @ axis)[..., None] * axis),
}


@pytest.fixture(params=CASES)
def case(request) -> tuple[Callable[[str], Intervention], Hook]:
    return CASES[request.param]


def check(model, given, hook_name, case) -> None:
    build, by_hand = case
    plain = model(given)
    expected = model.run_with_hooks(given, fwd_hooks=[(hook_name, lambda e, hook: by_hand(e))])
    with build(hook_name).attached(model) as handle:
        found = model(given)
    assert handle.fired == {hook_name: 1}
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)
    assert not torch.allclose(found, plain, atol=1e-3)
    assert torch.equal(model(given), plain)


@pytest.mark.parametrize(
    "hook_name", ["hook_embed", "blocks.0.hook_mlp_out", "blocks.2.ln2.hook_normalized"]
)
def test_a_language_model(model, tokens, hook_name, case):
    check(model, tokens, hook_name, case)


@pytest.fixture(scope="module")
def bridge() -> TransformerBridge:
    """The kind of model that takes the place of HookedTransformer in TransformerLens 4."""
    sizes = {"n_layers": 2, "d_model": D, "n_heads": 2, "d_head": 8, "d_mlp": 32, "n_ctx": 8}
    model = TransformerBridge.boot_native({**sizes, "d_vocab": 11, "act_fn": "relu", "seed": 0})
    return model.requires_grad_(False).eval()


@pytest.mark.parametrize("hook_name", ["embed.hook_out", "blocks.1.hook_resid_post"])
def test_a_bridge(bridge, tokens, hook_name, case):
    check(bridge, tokens, hook_name, case)


def test_heads_of_a_bridge(bridge, tokens):
    name = "blocks.1.attn.hook_z"
    _, plain = bridge.run_with_cache(tokens)
    with AblatePatch(name, rows=[1], steps=[3], heads=[0]).attached(bridge) as handle:
        _, patched = bridge.run_with_cache(tokens)
    expected = plain[name].clone()
    expected[1, 3, 0] = 0
    assert handle.fired == {name: 1} and torch.equal(patched[name], expected)


def test_a_point_that_a_bridge_does_not_run_is_refused(bridge):
    name = "blocks.1.hook_q_input"
    with (
        pytest.raises(ValueError, match=rf"does not run {name}: .*set_use_split_qkv_input"),
        AblatePatch(name).attached(bridge),
    ):
        pass


@pytest.mark.parametrize("hook_name", ["hook_first", "hook_second"])
def test_a_bare_hooked_module(bare, hook_name, case):
    check(bare, torch.randn(ROWS, STEPS, D), hook_name, case)
