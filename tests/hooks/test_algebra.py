"""Every combinator against matrices written by hand, in plain TransformerLens; invariants."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformer_lens.cache.key_value_cache import TransformerLensKeyValueCache

from irl_lens.hooks import (
    AblatePatch,
    Compose,
    FullController,
    Interpolate,
    Intervention,
    LowRankController,
    Mask,
    Part,
    ProjectOut,
    Scale,
    Sequence,
    Sum,
    Together,
    VectorController,
    load,
    save,
    starting_at,
)
from irl_lens.hooks.files import part_classes

D, ROWS, STEPS = 16, 3, 6
HOOK = "blocks.1.hook_resid_post"


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


A, B = random(4, D) / 4, random(D, 4, seed=1) / 2
U, V = B @ A, random(D, D, seed=2) / 8
v = random(D, seed=3)
BASIS = random(2, D, seed=4)
P = BASIS.mT @ torch.linalg.inv(BASIS @ BASIS.mT) @ BASIS
BETA = torch.tensor([[1, 0, 0, 0.9, 0, 1], [1, 0.1, 0, 0, 0, 0], [0, 0.5, 0, 0, 0, 0]])


def low() -> LowRankController:
    return LowRankController(nn.Parameter(A.clone()), nn.Parameter(B.clone()), HOOK)


def full() -> FullController:
    return FullController(nn.Parameter(V.clone()), HOOK)


def vector() -> VectorController:
    return VectorController(nn.Parameter(v.clone()), HOOK)


class Above(Part):
    """Whether a coordinate of the stream exceeds a threshold."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold

    def forward(self, x: Tensor) -> Tensor:
        return x[..., 0] > self.threshold

    def config(self) -> dict:
        return {"threshold": self.threshold}


def after(change: Tensor, first: Tensor, then: Tensor) -> Tensor:
    """Row by row and step by step: `then` from the first true step on."""
    out = first.clone()
    for row in range(len(change)):
        for step in range(change.shape[1]):
            if change[row, : step + 1].any():
                out[row, step] = then[row, step]
    return out


def switched(beta: Tensor) -> Tensor:
    return torch.cat([torch.zeros(len(beta), 1), beta[:, 1:]], 1) >= 0.5


@dataclass(frozen=True)
class Kind:
    """An intervention, and the same in matrices."""

    build: Callable[[], Intervention]
    by_hand: Callable[[Tensor], Tensor]


ROW = torch.tensor([1.0, 0, 1]).reshape(3, 1, 1)
KINDS = {
    "twice": Kind(lambda: 2 * low(), lambda e: e + 2 * e @ U.mT),
    "negated": Kind(lambda: -vector(), lambda e: e - v),
    "sum": Kind(lambda: low() + vector() + full(), lambda e: e + e @ (U + V).mT + v),
    "difference": Kind(lambda: low() * 3 - full(), lambda e: e + e @ (3 * U - V).mT),
    "and a patch": Kind(lambda: low() + AblatePatch(HOOK), lambda e: e @ U.mT),
    "less a patch": Kind(lambda: low() - AblatePatch(HOOK), lambda e: 2 * e + e @ U.mT),
    "itself": Kind(lambda: Sum(*[low()] * 3), lambda e: e + 3 * e @ U.mT),
    "interpolated": Kind(
        lambda: Interpolate(low(), vector(), 0.3), lambda e: e + 0.7 * e @ U.mT + 0.3 * v
    ),
    "composed": Kind(
        lambda: Compose(low(), vector(), full()),
        lambda e: (e + e @ U.mT + v) @ (torch.eye(D) + V).mT,
    ),
    "composed the other way": Kind(
        lambda: Compose(full(), vector(), low()),
        lambda e: (e + e @ V.mT + v) @ (torch.eye(D) + U).mT,
    ),
    "writes projected": Kind(
        lambda: ProjectOut(low(), BASIS), lambda e: e + e @ ((torch.eye(D) - P) @ U).mT
    ),
    "reads projected": Kind(
        lambda: ProjectOut(low(), BASIS, "reads"), lambda e: e + e @ (U @ (torch.eye(D) - P)).mT
    ),
    "vector projected": Kind(lambda: ProjectOut(vector(), BASIS), lambda e: e + v - v @ P),
    "sequence by row": Kind(
        lambda: Sequence(low(), vector(), torch.tensor([0, 2, 6])),
        lambda e: after(torch.arange(STEPS) >= torch.tensor([[0], [2], [6]]), e + e @ U.mT, e + v),
    ),
    "sequence by gate": Kind(
        lambda: Sequence(low(), vector(), BETA),
        lambda e: after(switched(BETA), e + e @ U.mT, e + v),
    ),
    "sequence by predicate": Kind(
        lambda: Sequence(low(), vector(), Above(0.5)),
        lambda e: after(e[..., 0] > 0.5, e + e @ U.mT, e + v),
    ),
    "masked": Kind(lambda: 2 * Mask(low(), rows=[0, 2]), lambda e: e + 2 * ROW * (e @ U.mT)),
    "nested": Kind(
        lambda: Compose(Scale(Sequence(low(), -vector(), Above(0.5)), 0.5), Together(full())),
        lambda e: after(e[..., 0] > 0.5, e + e @ U.mT / 2, e - v / 2) @ (torch.eye(D) + V).mT,
    ),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


def test_it_is_what_the_matrices_say_in_plain_transformer_lens(model, tokens, kind):
    _, plain = model.run_with_cache(tokens)
    expected = kind.by_hand(plain[HOOK])
    assert not torch.allclose(expected, plain[HOOK])
    by_hand = [(HOOK, lambda tensor, hook: kind.by_hand(tensor))]
    stream = {}
    hooks = [*kind.build().fwd_hooks(), (HOOK, lambda tensor, hook: stream.update(x=tensor))]
    logits = model.run_with_hooks(tokens, fwd_hooks=hooks)
    torch.testing.assert_close(stream["x"], expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        logits, model.run_with_hooks(tokens, fwd_hooks=by_hand), atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("sizes", [[1] * 6, [2, 1, 3], [6]])
def test_windows_are_the_whole(kind, sizes):
    x, intervention = random(ROWS, STEPS, D, seed=7), kind.build()
    whole = intervention(x)
    for _ in range(2):  # a second sequence begins where the first has ended
        start, parts = 0, []
        for part in x.split(sizes, 1):
            with starting_at(start):
                parts.append(intervention(part))
            start += part.shape[1]
        torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["sequence by predicate", "nested"])
def test_a_predicate_in_cached_decoding_is_that_of_the_full_forward(model, tokens, name):
    intervention = KINDS[name].build()
    cache = TransformerLensKeyValueCache.init_cache(model.cfg, "cpu", ROWS)
    with intervention.attached(model):
        full, decoded = model(tokens), []
        for token in tokens.split(1, 1):
            ones = torch.ones_like(token)
            decoded.append(model(token, past_kv_cache=cache, attention_mask=ones))
    torch.testing.assert_close(torch.cat(decoded, 1), full, atol=1e-4, rtol=0)


def test_gradients_reach_every_parameter_and_never_the_base(model, tokens, kind):
    intervention = kind.build()
    model.run_with_hooks(tokens, fwd_hooks=intervention.fwd_hooks()).square().mean().backward()
    assert all(parameter.grad is None for parameter in model.parameters())
    parameters = dict(intervention.named_parameters())
    assert parameters
    for name, parameter in parameters.items():
        assert parameter.grad is not None and parameter.grad.any(), name


def test_gradients_are_those_of_the_matrices():
    x, a = random(ROWS, STEPS, D, seed=7), full()
    y = Compose(2 * a, ProjectOut(a, BASIS), Interpolate(a, a, 0.5))(x)
    y.square().sum().backward()
    W = V.clone().requires_grad_()
    by_hand = x @ (torch.eye(D) + 2 * W).mT
    by_hand = by_hand @ (torch.eye(D) + (torch.eye(D) - P) @ W).mT
    (by_hand @ (torch.eye(D) + W).mT).square().sum().backward()
    torch.testing.assert_close(a.U.grad, W.grad, atol=1e-2, rtol=1e-4)


def test_inference_mode_gives_the_same_and_leaves_no_trace(model, tokens, kind):
    intervention, hooked = kind.build(), copy.deepcopy(model).requires_grad_(True)
    with torch.inference_mode(), intervention.attached(hooked):
        inert = hooked(tokens)
    with intervention.attached(hooked):
        live = hooked(tokens)
    assert inert.is_inference() and live.requires_grad
    assert torch.equal(inert, live)
    live.sum().backward()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_stream_keeps_its_dtype(kind, dtype):
    x = random(ROWS, STEPS, D, seed=7).to(dtype)
    y = kind.build()(x)
    assert y.dtype == dtype
    tolerance = 1e-5 if dtype == torch.float64 else 0.1
    torch.testing.assert_close(y.float(), kind.by_hand(x.float()), atol=tolerance, rtol=tolerance)


def test_the_stream_keeps_its_device(kind):
    # Tensors of the meta device mix with no others, and cost nothing.
    assert kind.build()(torch.empty(ROWS, STEPS, D, device="meta")).device.type == "meta"


@pytest.mark.parametrize(
    "build",
    [
        lambda a, b: 0 * a,
        lambda a, b: a - a,
        lambda a, b: Sum(0 * a, 0 * b),
        lambda a, b: Compose(0 * a, 0 * b),
        lambda a, b: Interpolate(0 * a, b, 0.0),
        lambda a, b: Interpolate(a, 0 * b, 1.0),
        lambda a, b: ProjectOut(a, torch.eye(D)),
        lambda a, b: ProjectOut(a, torch.eye(D), "reads"),
        lambda a, b: Sequence(0 * a, b, STEPS),
        lambda a, b: Sequence(a, 0 * b, 0),
        lambda a, b: Sequence(0 * a, b, torch.zeros(1, STEPS)),
        lambda a, b: Sequence(0 * a, b, lambda x: x[..., 0] > 1e9),
        lambda a, b: Together(0 * a),
        lambda a, b: Together(Mask(a, steps=[])),
        lambda a, b: Together(),
    ],
)
def test_what_does_nothing_does_nothing_to_the_bit(model, tokens, build):
    _, plain = model.run_with_cache(tokens)
    with build(full(), low()).attached(model):
        _, controlled = model.run_with_cache(tokens)
    for name, activation in plain.items():
        bits = (controlled[name].contiguous().view(torch.int32), activation.contiguous())
        assert torch.equal(bits[0], bits[1].view(torch.int32)), name


def test_ends_are_those_interventions_to_the_bit():
    x, a, b = random(ROWS, STEPS, D, seed=7), full(), vector()
    for one, same in (
        (1 * a, a),
        (Sum(a), a),
        (Compose(a), a),
        (Together(a), a),
        (Interpolate(a, b, 0.0), a),
        (Interpolate(a, b, 1.0), b),
        (ProjectOut(a, torch.zeros(0, D)), a),
        (ProjectOut(a, torch.zeros(0, D), "reads"), a),
        (Sequence(a, b, STEPS), a),
        (Sequence(a, b, 0), b),
        (Sequence(a, b, lambda x: x[..., 0] == x[..., 0]), b),
    ):
        assert torch.equal(one(x), same(x))
    assert torch.equal((a + a)(x), (2 * a)(x))


def test_saved_and_loaded_it_is_the_same_to_the_bit(tmp_path, kind, monkeypatch):
    monkeypatch.setitem(part_classes.PART_CLASSES, "Above", Above)
    intervention, x = kind.build(), random(ROWS, STEPS, D, seed=7)
    loaded = load(save(intervention, tmp_path))
    assert type(loaded) is type(intervention) and loaded.config() == intervention.config()
    assert torch.equal(loaded(x), intervention(x))


def test_operators_take_interventions_and_numbers_alone():
    a: Any = full()
    for wrong in (lambda: a + 1, lambda: a - 1, lambda: "x" * a, lambda: a * a):
        with pytest.raises(TypeError, match=r"unsupported operand|can't multiply"):
            wrong()


def test_other_hook_points_do_not_combine():
    elsewhere = VectorController(torch.zeros(D), "blocks.0.hook_resid_post")
    for build in (
        lambda: full() + elsewhere,
        lambda: full() - elsewhere,
        lambda: Compose(full(), elsewhere),
        lambda: Interpolate(full(), elsewhere, 0.5),
        lambda: Sequence(full(), elsewhere, 3),
        lambda: Mask(Together(full(), elsewhere)),
        lambda: Scale(Together(full(), elsewhere), 2),
        lambda: ProjectOut(Together(full(), elsewhere), BASIS),
    ):
        with pytest.raises(ValueError, match=r"blocks\.1.*blocks\.0.*only those at one hook"):
            build()
    with pytest.raises(ValueError, match="no hook point"):
        Compose()


def test_projections_that_cannot_be():
    with pytest.raises(ValueError, match="2 vectors span 1 dimensions"):
        ProjectOut(full(), torch.ones(2, D))
    with pytest.raises(ValueError, match="side 'both'; there are 'writes' and 'reads'"):
        ProjectOut(full(), BASIS, "both")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"in 8 dimensions, the activation in 16"):
        ProjectOut(full(), random(2, 8))(torch.zeros(ROWS, STEPS, D))


def test_a_direction_is_a_subspace_and_lengths_do_not_count():
    x, direction = random(ROWS, STEPS, D, seed=7), random(D, seed=8)
    ones = [ProjectOut(full(), d)(x) for d in (direction, -9 * direction, direction[None])]
    for other in ones[1:]:
        torch.testing.assert_close(ones[0], other)
    change = ProjectOut(full(), direction).delta(x) @ direction
    torch.testing.assert_close(change, torch.zeros(ROWS, STEPS), atol=1e-5, rtol=0)


@pytest.mark.parametrize("side", ["writes", "reads"])
def test_gradients_reach_a_trained_subspace(side):
    basis = nn.Parameter(random(2, D))
    projected = ProjectOut(full(), basis, side)
    assert dict(projected.named_parameters()).keys() == {"basis", "inner.U"}
    projected(random(ROWS, STEPS, D, seed=7)).square().sum().backward()
    assert basis.grad is not None
    # Only the subspace counts, so that a change inside it changes nothing.
    inside = basis.grad @ basis.detach().mT
    torch.testing.assert_close(inside, torch.zeros(2, 2), atol=1e-3, rtol=0)
    assert basis.grad.abs().amax() > 1e-2


@pytest.mark.parametrize(
    "wrap", [lambda a: 2 * a, lambda a: a + a, lambda a: Interpolate(a, a, 0.5)]
)
def test_widths_are_checked_inside_combinators(wrap):
    with pytest.raises(ValueError, match=r"16 wide, the stream at .* is 17 wide"):
        wrap(full())(torch.zeros(ROWS, STEPS, D + 1))
