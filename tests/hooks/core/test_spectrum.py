"""What controllers read and write, against the decomposition of the matrix U itself."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from irl_lens.hooks import Controller, FullController, LowRankController, VectorController

D, R = 16, 4
HOOK = "blocks.1.hook_resid_post"


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def low_rank(*lead: int, rank: int = R) -> LowRankController:
    return LowRankController(random(*lead, rank, D), random(*lead, D, rank, seed=1), HOOK)


def full(*lead: int) -> FullController:
    """The same U."""
    low = low_rank(*lead)
    return FullController(low.B @ low.A, HOOK)


SAME = pytest.mark.parametrize("build", [low_rank, full])


@pytest.mark.parametrize("lead", [(), (3,), (3, 5)])
@SAME
def test_it_is_the_decomposition_of_u(lead, build):
    U, spectrum = full(*lead).U, build(*lead).spectrum
    again = (spectrum.writes.mT * spectrum.values.unsqueeze(-2)) @ spectrum.reads
    torch.testing.assert_close(again, U)
    torch.testing.assert_close(spectrum.values[..., :R], torch.linalg.svdvals(U)[..., :R])
    for directions in (spectrum.reads, spectrum.writes):
        size = R if build is low_rank else D
        assert directions.shape == (*lead, size, D)
        identity = torch.eye(size, dtype=torch.float64).expand(*lead, -1, -1)
        torch.testing.assert_close(directions @ directions.mT, identity)
    torch.testing.assert_close(spectrum.norm, torch.linalg.matrix_norm(U))


def test_reads_and_writes_are_told_apart():
    A, B = torch.zeros(1, D), torch.zeros(D, 1)
    A[0, 2], B[5, 0] = 3, -2
    for controller in (LowRankController(A, B, HOOK), FullController(B @ A, HOOK)):
        spectrum = controller.spectrum
        assert spectrum.values[0] == 6
        assert spectrum.reads[0].abs().argmax() == 2 and spectrum.writes[0].abs().argmax() == 5
        stream = torch.zeros(1, 1, D)
        stream[..., 2] = 1
        change = controller.delta(stream)[0, 0]
        torch.testing.assert_close(change, -6 * torch.eye(D)[5])


@SAME
def test_transformer_lens_holds_the_transpose(build):
    controller = build(3)
    spectrum, factored = controller.spectrum, controller.factored
    torch.testing.assert_close(factored.S[:, :R], spectrum.values[:, :R])
    pairs = ((factored.U, spectrum.reads), (factored.V, spectrum.writes))
    for theirs, ours in pairs:
        alike = torch.einsum("ndk,nkd->nk", theirs[..., :R], ours[:, :R]).abs()
        torch.testing.assert_close(alike, torch.ones_like(alike))


def test_a_rank_above_the_width():
    low = low_rank(rank=D + 5)
    torch.testing.assert_close(low.spectrum.values, torch.linalg.svdvals(low.B @ low.A))


@pytest.mark.parametrize("rank", [1, 3, D])
def test_effective_rank_of_equal_singular_values_is_their_number(rank):
    Q = torch.linalg.qr(random(D, D)).Q[:, :rank]
    rotation = torch.linalg.qr(random(D, D, seed=1)).Q[:rank]
    spectrum = LowRankController(rotation, 7 * Q, HOOK).spectrum
    assert spectrum.effective_rank.item() == pytest.approx(rank)


def test_effective_rank_is_the_exponential_of_the_entropy():
    values = torch.diag(torch.tensor([6.0, 3.0, 1.0]))
    entropy = -(0.6 * math.log(0.6) + 0.3 * math.log(0.3) + 0.1 * math.log(0.1))
    three = FullController(torch.stack([values, 5 * values, 0 * values]), HOOK)
    expected = torch.tensor([math.exp(entropy), math.exp(entropy), 0.0])
    torch.testing.assert_close(three.spectrum.effective_rank, expected)


@pytest.mark.parametrize("lead", [(), (3,), (3, 5)])
def test_a_vector_writes_itself_and_reads_nothing(lead):
    v = random(*lead, D)
    spectrum = VectorController(v, HOOK).spectrum
    torch.testing.assert_close(spectrum.norm, v.norm(dim=-1))
    torch.testing.assert_close(spectrum.values[..., None] * spectrum.writes, v[..., None, :])
    assert spectrum.reads.shape == (*lead, 1, D) and not spectrum.reads.any()
    torch.testing.assert_close(spectrum.effective_rank, torch.ones_like(spectrum.norm))
    nothing = VectorController(torch.zeros(D), HOOK).spectrum
    assert nothing.norm == 0 and nothing.effective_rank == 0 and not nothing.writes.any()
    factored = VectorController(v, HOOK).factored
    torch.testing.assert_close(factored.S[..., 0], spectrum.norm)
    assert not torch.as_tensor(factored.AB)[..., :-1, :].any()
    torch.testing.assert_close(torch.as_tensor(factored.AB)[..., -1, :], v)


def test_half_precision_is_decomposed_in_float32():
    low = LowRankController(random(R, D).bfloat16(), random(D, R, seed=1).bfloat16(), HOOK)
    exact = torch.linalg.svdvals(low.B.float() @ low.A.float())[:R]
    torch.testing.assert_close(low.spectrum.values, exact)
    assert FullController(torch.eye(D).bfloat16(), HOOK).spectrum.values.dtype == torch.float32


def test_gradients_pass_through_norms():
    low = LowRankController.random(D, R, HOOK)
    low.spectrum.norm.backward()
    A, B = low.A.detach(), low.B.detach()
    U = B @ A
    torch.testing.assert_close(low.A.grad, B.mT @ U / U.norm(), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(low.B.grad, U @ A.mT / U.norm(), atol=1e-5, rtol=1e-4)


KINDS = {
    "low rank": lambda lead, seed: LowRankController(
        random(*lead, R, D, seed=seed), random(*lead, D, R, seed=seed + 1), HOOK
    ),
    "full": lambda lead, seed: FullController(random(*lead, D, D, seed=seed), HOOK),
    "vector": lambda lead, seed: VectorController(random(*lead, D, seed=seed), HOOK),
}


def change(controller) -> torch.Tensor:
    """All entries of U, or v."""
    if isinstance(controller, LowRankController):
        return (controller.B @ controller.A).flatten(-2)
    return controller.U.flatten(-2) if isinstance(controller, FullController) else controller.v


@pytest.mark.parametrize("build", KINDS.values(), ids=KINDS)
def test_cosine_is_that_of_the_entries(build):
    one, three = build((), 0), build((3,), 5)
    expected = torch.cosine_similarity(change(one), change(three), dim=-1)
    torch.testing.assert_close(one.cosine(three), expected)
    torch.testing.assert_close(three.cosine(one), expected)
    torch.testing.assert_close(one.cosine(one).item(), 1.0)
    pairs = three.at((slice(None), None)).cosine(three)
    torch.testing.assert_close(pairs.diagonal(), torch.ones(3, dtype=pairs.dtype))
    assert one.cosine(one.at((), keep=torch.tensor(0))) == 0


def test_cosine_sees_u_and_not_its_factors():
    low = low_rank()
    mixing = random(R, R, seed=3)
    same = LowRankController(torch.linalg.inv(mixing) @ low.A, low.B @ mixing, HOOK)
    assert low.cosine(same).item() == pytest.approx(1.0)


MEASURES: dict[str, Callable[[Controller], torch.Tensor]] = {
    "norm": lambda controller: controller.spectrum.norm,
    "effective rank": lambda controller: controller.spectrum.effective_rank,
    "cosine": lambda controller: controller.cosine(controller.at(())),
    "cosine with another": lambda controller: controller.cosine(
        type(controller)(
            **{n: random(*t.shape, seed=9) for n, t in controller.tensors().items()},
            hook_name=HOOK,
        )
    ),
}


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
@pytest.mark.parametrize("lead", [(), (3,)])
@pytest.mark.parametrize("build", KINDS.values(), ids=KINDS)
def test_gradients_are_those_of_differences(build, lead, measure):
    controller = build(lead, 3)

    def measured(*tensors: torch.Tensor) -> torch.Tensor:
        named = dict(zip(controller.tensors(), tensors, strict=True))
        return measure(type(controller)(**named, hook_name=HOOK))

    tensors = [tensor.requires_grad_() for tensor in controller.tensors().values()]
    assert torch.autograd.gradcheck(measured, tensors, fast_mode=True)


SOME, NONE = random(R, D), torch.zeros(R, D, dtype=torch.float64)
HALF = torch.cat([SOME[:2], NONE[2:]])
SINGULAR = {
    "B is zero": lambda: LowRankController(SOME, NONE.mT, HOOK),
    "A is zero": lambda: LowRankController(NONE, SOME.mT, HOOK),
    "both are": lambda: LowRankController(NONE, NONE.mT, HOOK),
    "one of three is": lambda: LowRankController(
        torch.stack([SOME] * 3), torch.stack([SOME.mT, NONE.mT, SOME.mT]), HOOK
    ),
    "half of B is": lambda: LowRankController(SOME, HALF.mT, HOOK),
    "equal values": lambda: LowRankController(
        torch.eye(D)[:R].double(), torch.eye(D)[:, :R].double(), HOOK
    ),
    "full zero": lambda: FullController(torch.zeros(D, D), HOOK),
    "full identity": lambda: FullController(torch.eye(D), HOOK),
    "full projection": lambda: FullController(torch.diag(torch.arange(D) < 3).float(), HOOK),
    "vector zero": lambda: VectorController(torch.zeros(D), HOOK),
}


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
@pytest.mark.parametrize("build", SINGULAR.values(), ids=SINGULAR)
def test_gradients_are_numbers_where_there_is_no_derivative(build, measure):
    """So that a step of the optimiser leaves numbers, from the zero controller too."""
    controller = build()
    trained = {n: nn.Parameter(t.detach().clone()) for n, t in controller.tensors().items()}
    controller = type(controller)(**trained, hook_name=HOOK)
    optimizer = torch.optim.AdamW(controller.parameters(), lr=0.1)
    measured = measure(controller)
    measured.sum().backward()
    for parameter in controller.parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all()
        if not measured.any():
            assert parameter.grad is None or not parameter.grad.any()
    optimizer.step()
    assert all(parameter.isfinite().all() for parameter in controller.parameters())


def test_what_is_no_number_is_not_passed_off_as_none():
    broken = VectorController(torch.tensor([1.0, math.nan]), HOOK)
    assert broken.spectrum.effective_rank.isnan() and broken.cosine(broken).isnan()


def test_second_derivatives_of_singular_values_are_refused():
    low = LowRankController.random(D, R, HOOK)
    (slope,) = torch.autograd.grad(low.spectrum.norm, low.A, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()


def test_what_cannot_be_compared_is_refused():
    low, other = low_rank(), full()
    with pytest.raises(ValueError, match=r"LowRankController 16 wide and a FullController 16 wide"):
        low.cosine(other)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"16 wide .* 8 wide; only controllers of one kind"):
        other.cosine(FullController(torch.eye(8), HOOK))
