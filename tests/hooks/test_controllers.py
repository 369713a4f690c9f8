"""The arithmetic of the controllers, their shapes, their view as factored matrices."""

from __future__ import annotations

import pytest
import torch

from irl_lens.hooks import FullController, LowRankController, VectorController

D, R = 16, 4
HOOK = "blocks.1.hook_resid_post"


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("lead", [(), (3,), (3, 5)])
def test_u_e_is_a_matrix_product(lead):
    A, B, x = random(*lead, R, D), random(*lead, D, R, seed=1), random(3, 5, D, seed=2)
    low, full = LowRankController(A, B, HOOK), FullController(B @ A, HOOK)
    for row in range(3):
        for step in range(5):
            index = (row, step)[: len(lead)]
            expected = x[row, step] + B[index] @ (A[index] @ x[row, step])
            torch.testing.assert_close(low(x)[row, step], expected, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(full(x)[row, step], expected, atol=1e-4, rtol=1e-4)


def test_u_is_not_a_row_sum():
    swap = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    x = torch.tensor([[[3.0, 5.0]]])
    assert FullController(swap, HOOK)(x).tolist() == [[[8.0, 5.0]]]


@pytest.mark.parametrize("lead", [(), (3,), (3, 5)])
def test_vector_adds(lead):
    v, x = random(*lead, D), random(3, 5, D, seed=1)
    aligned = v[:, None] if len(lead) == 1 else v
    assert torch.equal(VectorController(v, HOOK)(x), x + aligned)


def test_factored_composes_with_the_unembedding(model):
    low = LowRankController.random(D, R, HOOK)
    full = FullController((low.B @ low.A).detach(), HOOK)
    e = random(7, D)
    vector, constant = VectorController(random(D), HOOK), torch.cat([e, torch.ones(7, 1)], 1)
    torch.testing.assert_close(constant @ torch.as_tensor(vector.factored.AB), vector.delta(e))
    to_logits = torch.as_tensor((vector.factored @ model.W_U).AB)
    torch.testing.assert_close(constant @ to_logits, vector.delta(e) @ model.W_U)
    for controller in (low, full):
        torch.testing.assert_close(e @ torch.as_tensor(controller.factored.AB), controller.delta(e))
        to_logits = controller.factored @ model.W_U
        torch.testing.assert_close(e @ to_logits.AB, controller.delta(e) @ model.W_U)
    spectrum = torch.linalg.svdvals(low.B @ low.A)[:R]
    torch.testing.assert_close(low.factored.S, spectrum)


@pytest.mark.parametrize("init", [0.05, 0.1, 0.5])
def test_initial_size_is_relative_to_the_stream(init):
    generator = torch.Generator().manual_seed(0)
    e = 7 * random(500, 128)
    for controller in (
        LowRankController.random(128, 16, HOOK, init, generator=generator),
        FullController.random(128, HOOK, init, generator=generator),
    ):
        ratio = controller.delta(e).norm(dim=-1) / e.norm(dim=-1)
        assert 0.8 * init < ratio.square().mean().sqrt() < 1.2 * init


@pytest.mark.parametrize(
    ("A", "B"),
    [
        *(((4, 16), (16, 5)), ((4, 16), (15, 4)), ((3, 4, 16), (16, 4)), ((3, 4, 16), (2, 16, 4))),
        *(((16,), (16,)), ((), ()), ((1, 16), (16,))),
    ],
)
def test_factors_that_do_not_belong_together_are_refused(A, B):
    with pytest.raises(ValueError, match="of the same rank and width"):
        LowRankController(torch.zeros(A), torch.zeros(B), HOOK)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"U is \(4, 5\)"):
        FullController(torch.zeros(4, 5), HOOK)
    with pytest.raises(ValueError, match="v is a single number"):
        VectorController(torch.tensor(1.0), HOOK)
    for controller in (
        VectorController(torch.zeros(D), HOOK),
        FullController(torch.zeros(D, D), HOOK),
        LowRankController.random(D, R, HOOK),
    ):
        with pytest.raises(ValueError, match=r"is 16 wide, the stream at .* is 17 wide"):
            controller(torch.zeros(2, 3, D + 1))
    with pytest.raises(ValueError, match="at most the leading axes"):
        VectorController(torch.zeros(2, 3, 4, D), HOOK)(torch.zeros(2, 3, D))


def test_tensors_that_are_not_parameters_pass_gradients_on():
    leaf = random(R, D).requires_grad_()
    controller = LowRankController(2 * leaf, random(D, R), HOOK)
    assert not list(controller.parameters())
    controller(random(2, 3, D)).sum().backward()
    assert leaf.grad is not None and leaf.grad.abs().sum() > 0
