"""The base under TransformerLens' own tools: patching helpers, attribution, another type."""

import numpy as np
import pandas as pd
import pytest
import torch
from transformer_lens import patching

from irl_lens.errors import UserError
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.fast import FastPath

from .conftest import SPEC

ROWS, STEPS = 3, 5


def observations(seed: int) -> torch.Tensor:
    drawn = np.random.default_rng(seed).integers(0, SPEC.sizes, (ROWS, STEPS, 2))
    return torch.from_numpy(drawn + SPEC.offsets)


@pytest.fixture(autouse=True)
def _frozen(model: TrajectoryModel) -> None:
    model.frozen()


def metric(logits: torch.Tensor) -> torch.Tensor:
    return logits[:, -1, 0].sum()


BY_POSITION = [
    patching.get_act_patch_resid_pre,
    patching.get_act_patch_attn_out,
    patching.get_act_patch_attn_head_q_by_pos,
    patching.get_act_patch_attn_head_pattern_by_pos,
    patching.get_act_patch_attn_head_pattern_dest_src_pos,
]


@pytest.mark.parametrize("helper", BY_POSITION)
def test_helpers_that_take_columns_for_positions_are_refused(model, helper):
    _, clean = model.hooked.run_with_cache(observations(0))
    with pytest.raises(UserError, match=r"would patch 2, .* in place of 5 steps.*index_df"):
        helper(model.hooked, observations(1), clean, metric)


def test_helpers_with_a_table_of_positions_are_right(model):
    _, clean = model.hooked.run_with_cache(observations(0))
    table = pd.DataFrame([(1, step) for step in range(STEPS)], columns=["layer", "pos"])
    found = patching.get_act_patch_resid_pre(
        model.hooked, observations(1), clean, metric, index_axis_names=None, index_df=table
    )
    for step, value in enumerate(found):

        def replaced(x, hook, step=step):
            x = x.clone()
            x[:, step] = clean[hook.name][:, step]
            return x

        hooks = [("blocks.1.hook_resid_pre", replaced)]
        torch.testing.assert_close(
            value, metric(model.hooked.run_with_hooks(observations(1), fwd_hooks=hooks))
        )


def test_helpers_without_positions_are_left_alone(model):
    _, clean = model.hooked.run_with_cache(observations(0))
    found = patching.get_act_patch_attn_head_out_all_pos(
        model.hooked, observations(1), clean, metric
    )
    assert found.shape == (2, 2)


def attributed(model: TrajectoryModel) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits of some actions, and the attributions to all that is written, summed."""
    logits, cache = model(observations(0)), model.hooked.run_with_cache(observations(0))[1]
    actions = torch.arange(ROWS * STEPS).reshape(ROWS, STEPS) % 4
    stack = cache.get_full_resid_decomposition(expand_neurons=False)
    assert isinstance(stack, torch.Tensor)
    taken = logits.gather(-1, actions[..., None])[..., 0]
    return taken - model.hooked.b_U[actions], cache.logit_attrs(stack, tokens=actions).sum(0)


def test_attributions_add_up_to_the_logits_of_the_folded_model(model):
    logits, sums = attributed(model.folded())
    torch.testing.assert_close(sums, logits, atol=1e-5, rtol=1e-5)


def test_attributions_of_the_model_itself_miss_a_constant_alone(model):
    logits, sums = attributed(model)
    actions = torch.arange(ROWS * STEPS).reshape(ROWS, STEPS) % 4
    constant = (model.hooked.ln_final.b @ model.hooked.W_U)[actions]
    torch.testing.assert_close(sums + constant, logits, atol=1e-5, rtol=1e-5)
    assert constant.abs().max() > 0.1


def test_a_difference_of_attributions_is_the_difference_of_logits(model):
    logits, cache = model.folded().hooked.run_with_cache(observations(0))
    first, second = (torch.full((ROWS, STEPS), a) for a in (2, 1))
    stack = cache.get_full_resid_decomposition(expand_neurons=False)
    found = cache.logit_attrs(stack, tokens=first, incorrect_tokens=second).sum(0)
    bias = cache.model.b_U[2] - cache.model.b_U[1]
    torch.testing.assert_close(found + bias, logits[..., 2] - logits[..., 1], atol=1e-5, rtol=1e-5)


def test_the_logit_lens_of_the_folded_model_ends_at_the_logits(model):
    logits, cache = model.folded().hooked.run_with_cache(observations(0))
    last = cache.accumulated_resid(layer=-1, apply_ln=True)[-1]
    lens = last @ cache.model.W_U + cache.model.b_U
    torch.testing.assert_close(lens, logits, atol=1e-5, rtol=1e-5)


def test_folding_changes_no_output(model):
    before = {name: w.clone() for name, w in model.weights().items()}
    folded = model.folded()
    x = observations(0)
    torch.testing.assert_close(folded(x), model(x), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(FastPath(folded).logits(x), model(x), atol=1e-5, rtol=1e-5)
    following = [m.next_observation(FastPath(m).final(x)) for m in (folded, model)]
    torch.testing.assert_close(*following, atol=1e-5, rtol=1e-5)
    assert all(torch.equal(before[name], w) for name, w in model.weights().items())
    assert folded.hash() != model.hash()


def test_transformer_lens_is_told_of_a_move_and_a_cast(model):
    model(observations(0))
    model.to(torch.float64)
    assert model.hooked.cfg.dtype == torch.float64
    model.to("meta")
    assert model.hooked.cfg.device == "meta"
    assert model(observations(0)).shape == (ROWS, STEPS, 4)
