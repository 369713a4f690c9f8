"""Controllers made of something else: codes, caches, probes."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import softmax

from irl_lens.hooks import (
    CodeController,
    FullController,
    HypernetworkDecoder,
    LinearDecoder,
    LowRankController,
    VectorController,
)

D = 16
HOOK = "blocks.1.hook_resid_post"


@pytest.mark.parametrize("lead", [(), (3,), (3, 5)])
def test_from_latent(lead):
    decoder = HypernetworkDecoder(5, 8, D, 4)
    z = torch.randn(*lead, 5, requires_grad=True)
    controller = LowRankController.from_latent(decoder, z, HOOK)
    assert controller.lead == lead and controller.hook_name == HOOK
    x, spread = torch.randn(3, 5, D), z[:, None] if len(lead) == 1 else z
    codes = CodeController(decoder, spread.expand(3, 5, 5), HOOK)
    torch.testing.assert_close(controller(x), codes(x), atol=1e-5, rtol=1e-4)
    controller(x).square().sum().backward()
    assert z.grad is not None and z.grad.any()
    assert all(p.grad is not None and p.grad.any() for p in decoder.parameters())


def test_from_latent_takes_codes_of_the_decoders_width():
    with pytest.raises(ValueError, match="code is 4 wide; this decoder takes 5"):
        LowRankController.from_latent(HypernetworkDecoder(5, 8, D, 4), torch.zeros(4), HOOK)


def test_from_latent_takes_the_decoder_of_its_kind():
    z = torch.zeros(2, 5)  # two rows of matrices must not pass for A and B
    with pytest.raises(ValueError, match="LinearDecoder makes no factors"):
        LowRankController.from_latent(LinearDecoder(5, D), z, HOOK)
    with pytest.raises(ValueError, match="HypernetworkDecoder makes no matrices"):
        FullController.from_latent(HypernetworkDecoder(5, 8, D, 4), z, HOOK)


def test_difference_moves_one_mean_to_the_other(model, tokens):
    _, a = model.run_with_cache(tokens)
    _, b = model.run_with_cache((tokens[:2, :4] + 3) % 11)
    steer = VectorController.from_difference(a, b, HOOK)
    torch.testing.assert_close(steer(b[HOOK]).mean((0, 1)), a[HOOK].mean((0, 1)))
    assert not list(steer.parameters()) and not steer.v.requires_grad


def test_what_is_made_of_activations_is_a_constant():
    a, b = ({HOOK: torch.randn(2, 3, D, requires_grad=True)} for _ in range(2))
    made = VectorController.from_difference(a, b, HOOK)
    fitted = LowRankController.from_supervised(a, b, HOOK, 2)
    assert not any(t.requires_grad for c in (made, fitted) for t in c.tensors().values())


def test_difference_counts_valid_steps_alone():
    a, b = torch.randn(2, 3, D), torch.randn(4, 5, D)
    valid_a = torch.tensor([[True, True, False], [True, False, False]])
    expected = torch.stack([a[0, 0], a[0, 1], a[1, 0]]).mean(0)
    a[~valid_a] = float("nan")
    made = VectorController.from_difference({HOOK: a}, {HOOK: b}, HOOK, valid_a=valid_a)
    torch.testing.assert_close(made.v, expected - b.mean((0, 1)))
    other = VectorController.from_difference({HOOK: b}, {HOOK: a}, HOOK, valid_b=valid_a)
    torch.testing.assert_close(other.v, -made.v)


def test_differences_are_taken_in_float32_at_least():
    a = torch.cat([torch.full((1, 1, 1), 256.0), torch.ones(1, 999, 1)], dim=1).bfloat16()
    made = VectorController.from_difference({HOOK: a}, {HOOK: torch.zeros(1, 1, 1)}, HOOK)
    assert made.v.dtype == torch.float32 and made.v.item() == pytest.approx(1.255)


def test_differences_that_cannot_be_taken():
    def difference(a, b, **valid):
        return VectorController.from_difference({HOOK: a}, {HOOK: b}, HOOK, **valid)

    x = torch.zeros(2, 3, D)
    with pytest.raises(ValueError, match="the cache has no"):
        VectorController.from_difference({}, {HOOK: x}, HOOK)
    with pytest.raises(ValueError, match="16 and 15 wide"):
        difference(x, x[..., 1:])
    with pytest.raises(ValueError, match=r"mask is torch\.bool \(2, 2\); .* \(2, 3\)"):
        difference(x, x, valid_a=torch.ones(2, 2, dtype=torch.bool))
    with pytest.raises(ValueError, match="of 0 steps"):
        difference(x, x, valid_b=torch.zeros(2, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"activations \(2, 3, 4, 4\)"):
        difference(x.reshape(2, 3, 4, 4), x)


def planted(rank: int, noise: float = 0.0) -> tuple[torch.Tensor, dict, dict]:
    """A map, and activations before and after it; width 8, correlated, as streams are."""
    generator = torch.Generator().manual_seed(rank)
    U, mixing, b = (
        torch.randn(*shape, generator=generator) for shape in ((8, 8), (8, 8), (40, 5, 8))
    )
    left, values, right = torch.linalg.svd(U)
    U = left[:, :rank] * values[:rank] @ right[:rank]
    b = b @ mixing
    a = b + b @ U.mT + noise * torch.randn(b.shape, generator=generator)
    return U, {HOOK: a}, {HOOK: b}


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_supervised_finds_the_map_that_was_planted(rank):
    U, a, b = planted(rank)
    low = LowRankController.from_supervised(a, b, HOOK, rank, ridge=0.0)
    full = FullController.from_supervised(a, b, HOOK, ridge=0.0)
    torch.testing.assert_close(low.B @ low.A, U, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(full.U, U, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(low(b[HOOK]), a[HOOK], atol=1e-3, rtol=1e-4)
    assert low.rank == rank and not list(low.parameters()) and not list(full.parameters())


@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_supervised_is_the_best_of_its_rank(ridge):
    _, a, b = planted(5, noise=1.0)
    e, change = b[HOOK].flatten(0, 1), (a[HOOK] - b[HOOK]).flatten(0, 1)

    def loss(A, B):
        size = ridge * e.square().sum() / 8 * (B @ A).square().sum()
        return (change - e @ (B @ A).mT).square().sum() + size

    made = LowRankController.from_supervised(a, b, HOOK, 2, ridge=ridge)
    found = loss(made.A, made.B)
    A, B = (t.clone().requires_grad_() for t in (made.A, made.B))
    for gradient in torch.autograd.grad(loss(A, B), (A, B)):  # it is stationary,
        assert gradient.norm() < 1e-3 * found
    for seed in range(20):  # and no neighbour is better
        near = torch.Generator().manual_seed(seed)
        nudged = (t + 0.03 * torch.randn(t.shape, generator=near) for t in (made.A, made.B))
        assert loss(*nudged) > found


def test_supervised_makes_nothing_of_nothing():
    _, _, b = planted(1)
    same = LowRankController.from_supervised(b, b, HOOK, 4)
    assert not (same.B @ same.A).any()
    few = {HOOK: b[HOOK][:1, :2]}  # two activations span two dimensions of eight
    moved = FullController.from_supervised({HOOK: 3 * few[HOOK]}, few, HOOK, ridge=0.0)
    torch.testing.assert_close(moved(few[HOOK]), 3 * few[HOOK], atol=1e-4, rtol=1e-4)
    others = torch.linalg.svd(few[HOOK][0])[2][2:]
    torch.testing.assert_close(moved.delta(others), torch.zeros(6, 8), atol=1e-5, rtol=0)


def test_supervised_counts_valid_steps_alone_and_refuses_what_does_not_pair():
    U, a, b = planted(2)
    valid = torch.ones(40, 5, dtype=torch.bool)
    valid[:, 4] = False
    a[HOOK][:, 4] = torch.nan
    low = LowRankController.from_supervised(a, b, HOOK, 2, valid=valid, ridge=0.0)
    torch.testing.assert_close(low.B @ low.A, U, atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match=r"\(200, 8\) and \(160, 8\) positions and widths"):
        LowRankController.from_supervised(a, {HOOK: b[HOOK][:, :4]}, HOOK, 2)
    for rank, ridge in ((9, 0.0), (0, 0.0), (2, -1.0)):
        with pytest.raises(ValueError, match=r"ranks are 1\.\.8, a ridge is 0 or more"):
            LowRankController.from_supervised(b, b, HOOK, rank, ridge=ridge)
    with pytest.raises(ValueError, match="the cache has no"):
        FullController.from_supervised({}, b, HOOK)


def test_probe_raises_its_class():
    # Small enough that no probability is 1 in single precision.
    weight, e = torch.randn(4, D) / D**0.5, torch.randn(1, 3, D)
    for label in range(4):
        steer = VectorController.from_probe(weight, label, HOOK, size=2.0)
        torch.testing.assert_close(steer.v.norm(), torch.tensor(2.0))
        before, after = softmax(e @ weight.mT, -1), softmax(steer(e) @ weight.mT, -1)
        gain = (weight[label] - weight.mean(0)).norm() * 2
        centred = (after.log() - before.log()) - (after.log() - before.log()).mean(-1, keepdim=True)
        torch.testing.assert_close(centred[..., label], gain.expand(1, 3), atol=1e-4, rtol=1e-4)
        assert (after[..., label] > before[..., label]).all()


def test_probe_directions_do_not_see_what_a_softmax_does_not():
    weight = torch.randn(4, D)
    made = VectorController.from_probe(weight, 1, HOOK)
    moved = VectorController.from_probe(weight + torch.randn(D), 1, HOOK)
    torch.testing.assert_close(made.v, moved.v, atol=1e-5, rtol=1e-4)


def test_probes_that_point_nowhere_are_refused():
    weight = torch.randn(1, D)
    with pytest.raises(ValueError, match=r"mean of all 1 classes .* give \[-w / 2, w / 2\]"):
        VectorController.from_probe(weight, 0, HOOK)
    pair = torch.cat([-weight / 2, weight / 2])
    made = VectorController.from_probe(pair, 1, HOOK)
    torch.testing.assert_close(made.v, weight[0] / weight.norm())
    for label, given in ((4, torch.randn(4, D)), (-1, torch.randn(4, D)), (0, weight[0])):
        with pytest.raises(ValueError, match=rf"class {label} (of a|is before)"):
            VectorController.from_probe(given, label, HOOK)
