"""The fast path's weights are the model's, however these are changed; and those of a roll-out."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from irl_lens.errors import UserError
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.fast import FastPath

from .conftest import OBSERVATIONS, assert_same, decoded, make_model


@torch.no_grad()
def assert_follows(model: TrajectoryModel, change: Callable[[], object]) -> None:
    """After ``change``, cached or not, in either precision, the fast path is as one made anew."""
    plain, low = FastPath(model), FastPath(model, "bfloat16")
    before = decoded(plain), plain.logits(OBSERVATIONS), decoded(low), low.logits(OBSERVATIONS)
    change()
    after = decoded(plain), plain.logits(OBSERVATIONS), decoded(low), low.logits(OBSERVATIONS)
    assert not torch.allclose(before[0], after[0], atol=1e-3)
    assert_same(after[0], model(OBSERVATIONS))
    assert_same(after[1], model(OBSERVATIONS))
    fresh = FastPath(model, "bfloat16")
    assert torch.equal(after[2], decoded(fresh))
    assert torch.equal(after[3], fresh.logits(OBSERVATIONS))


def test_writes_through_data_are_seen(model):
    for name, weight in model.hooked.named_parameters():
        # The blocks are alike, and b_K shifts all scores alike.
        if not name.startswith("blocks.1") and not name.endswith("b_K"):
            factor = torch.linspace(-1, 3, weight.shape[-1])
            assert_follows(model, lambda w=weight, f=factor: w.data.mul_(f))


def test_other_parameters_in_their_place_are_seen(model):
    for part in (model.hooked.blocks[0].attn, model.hooked.blocks[1].mlp):
        for name, weight in list(part.named_parameters()):
            if name != "b_K":
                new = nn.Parameter(torch.randn_like(weight))
                assert_follows(model, lambda p=part, n=name, w=new: setattr(p, n, w))


def other_weights(model: TrajectoryModel) -> None:
    model.load_state_dict(make_model(1).state_dict())


def a_vector(model: TrajectoryModel) -> None:
    vector_to_parameters(parameters_to_vector(model.parameters()) * 1.3, model.parameters())


def another_block(model: TrajectoryModel) -> None:
    model.hooked.blocks[0] = make_model(1).hooked.blocks[0]


def another_attention(model: TrajectoryModel) -> None:
    model.hooked.blocks[1].attn = make_model(1).hooked.blocks[1].attn


def another_transformer(model: TrajectoryModel) -> None:
    model.hooked = make_model(1).hooked


def swapped_rows(model: TrajectoryModel) -> None:
    for name in ("W_Q", "W_V"):
        weight = getattr(model.hooked.blocks[0].attn, name).data
        weight.copy_(weight.flip(1))


def memory_of_another(model: TrajectoryModel) -> None:
    for block in model.hooked.blocks:
        block.attn.W_V.data = torch.randn_like(block.attn.W_V)


def another_activation(model: TrajectoryModel) -> None:
    model.hooked.blocks[0].mlp.act_fn = torch.nn.functional.silu


def flat_attention(model: TrajectoryModel) -> None:
    for block in model.hooked.blocks:
        block.attn.attn_scale = 100.0


CHANGES = [
    other_weights,
    a_vector,
    another_block,
    another_attention,
    another_transformer,
    swapped_rows,
    memory_of_another,
    another_activation,
    flat_attention,
]


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_is_seen(model, change):
    assert_follows(model, lambda: change(model))


@pytest.mark.parametrize("options", [{"fused": True}, {"foreach": True}, {}])
def test_a_step_of_any_optimizer_is_seen(model, options):
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, **options)

    @torch.enable_grad()
    def step() -> None:
        model(OBSERVATIONS).square().sum().backward()
        optimizer.step()

    assert_follows(model, step)


def test_a_twin_shares_what_is_written(model):
    twin = FastPath(model).twin()
    with torch.no_grad():
        twin.logits(OBSERVATIONS)
        model.hooked.blocks[0].attn.W_V.data.zero_()
        assert_same(twin.logits(OBSERVATIONS), model(OBSERVATIONS))


@torch.no_grad()
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_held_weights_give_the_same(model, precision):
    fast = FastPath(model, precision)
    loose = decoded(fast)
    with fast.weights.held():
        assert torch.equal(decoded(fast), loose)
        with fast.weights.held():
            assert torch.equal(decoded(fast), loose)
        assert torch.equal(decoded(fast), loose)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["attn.W_Q", "attn.b_V", "attn.W_O", "mlp.W_in", "mlp.b_out"])
def test_a_change_of_held_weights_is_refused_or_seen(model, precision, name):
    fast = FastPath(model, precision)
    weight = model.hooked.blocks[1].get_parameter(name)
    try:
        with fast.weights.held(), torch.no_grad():
            weight.data.mul_(2)
            within = decoded(fast)
    except UserError as error:
        assert "blocks.1 was changed while its weights were held" in str(error)
    else:
        with torch.no_grad():
            assert torch.equal(within, decoded(fast))


def test_memory_exchanged_under_held_weights_is_refused(model):
    with (
        pytest.raises(UserError, match=r"mlp_out of blocks.0 was changed"),
        FastPath(model).weights.held(),
    ):
        model.hooked.blocks[0].mlp.W_out.data = torch.zeros_like(model.hooked.blocks[0].mlp.W_out)


def test_an_error_under_held_weights_is_its_own(model):
    fast = FastPath(model)
    with pytest.raises(ZeroDivisionError), fast.weights.held():
        model.hooked.blocks[0].attn.W_V.data.zero_()
        raise ZeroDivisionError
    assert_same(fast.logits(OBSERVATIONS), model(OBSERVATIONS))


def test_held_weights_that_are_trained_get_their_gradients(model):
    fast = FastPath(model)
    with fast.weights.held():
        fast.logits(OBSERVATIONS).sum().backward()
    assert model.hooked.blocks[0].attn.W_Q.grad.any()
