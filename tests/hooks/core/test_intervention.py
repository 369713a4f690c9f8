"""Attaching: names, counts, other hooks, exceptions, hooks that never fire."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from irl_lens.hooks import (
    AblatePatch,
    Intervention,
    LowRankController,
    Together,
    VectorController,
    attach,
    hook_points,
)

HOOK = "blocks.1.hook_resid_post"


def hook_count(model: nn.Module) -> int:
    return sum(len(p.fwd_hooks) + len(p._forward_hooks) for p in hook_points(model).values())


def test_fires_once_per_forward(model, tokens, intervention):
    with intervention.attached(model) as handle:
        assert handle.fired == {HOOK: 0}
        model(tokens)
        assert handle.fired == {HOOK: 1}
        model(tokens)
        model.run_with_cache(tokens)
    assert handle.fired == {HOOK: 3}
    model(tokens)
    assert handle.fired == {HOOK: 3}


def test_attached_is_run_with_hooks(model, tokens, intervention):
    plain = model(tokens)
    with intervention.attached(model):
        attached = model(tokens)
    assert torch.equal(attached, model.run_with_hooks(tokens, fwd_hooks=intervention.fwd_hooks()))
    assert not torch.equal(attached, plain)
    assert torch.equal(model(tokens), plain)


def test_hooks_that_were_there_survive(model, tokens):
    calls = []
    points = hook_points(model)
    points[HOOK].add_perma_hook(lambda tensor, hook: calls.append("permanent"))
    points[HOOK].add_hook(lambda tensor, hook: calls.append("temporary"))
    points[HOOK].register_forward_hook(lambda *_: calls.append("torch"))
    try:
        before = hook_count(model)
        with VectorController(torch.ones(16), HOOK).attached(model):
            model(tokens)
        assert hook_count(model) == before
        model(tokens)
        assert calls == ["permanent", "temporary", "torch"] * 2
    finally:
        model.reset_hooks(including_permanent=True)
        points[HOOK]._forward_hooks.clear()


def test_nothing_of_ours_is_left_after_an_exception(model, tokens, intervention):
    with pytest.raises(RuntimeError, match="outside"), intervention.attached(model):
        raise RuntimeError("outside")
    wide = VectorController(torch.ones(17), HOOK)
    with pytest.raises(ValueError, match="17 wide"), wide.attached(model):
        model(tokens)
    assert hook_count(model) == 0


class Half(VectorController):
    """Its second hook name does not exist."""

    def fwd_hooks(self):
        return [*super().fwd_hooks(), ("blocks.1.hook_resid_pots", super().fwd_hooks()[0][1])]


def test_unknown_name_lists_the_closest_and_attaches_nothing(model):
    controller = Half(torch.ones(16), HOOK)
    with (
        pytest.raises(ValueError, match=r"hook_resid_pots'; .*blocks\.1\.hook_resid_post"),
        controller.attached(model),
    ):
        pass
    assert hook_count(model) == 0


def test_a_model_without_hook_points_is_refused():
    with (
        pytest.raises(ValueError, match="the model has none; give a HookedTransformer"),
        VectorController(torch.ones(16), HOOK).attached(nn.Linear(16, 16)),
    ):
        pass


def test_the_same_one_twice_acts_twice(model, tokens):
    controller = LowRankController.random(16, 2, HOOK, 0.5)
    hooks = controller.fwd_hooks()
    expected = model.run_with_hooks(tokens, fwd_hooks=hooks + hooks)
    with controller.attached(model) as outer, controller.attached(model) as inner:
        assert torch.equal(model(tokens), expected)
    assert outer.fired == inner.fired == {HOOK: 1}
    with attach(model, hooks + hooks) as handle:
        assert torch.equal(model(tokens), expected)
    assert handle.fired == {HOOK: 2} and hook_count(model) == 0


def test_works_on_any_hooked_module_and_on_one_around_it(bare):
    x = torch.randn(2, 3, 16)
    controller = VectorController(torch.ones(16), "hook_second")
    plain = bare(x)
    for module in (bare, nn.ModuleDict({"inside": bare})):
        with controller.attached(module) as handle:
            assert torch.equal(bare(x), plain + 1)
        assert handle.fired == {"hook_second": 1}


def test_two_hooked_models_inside_one_are_refused(bare):
    both = nn.ModuleDict({"one": bare, "two": type(bare)()})
    with (
        pytest.raises(ValueError, match="4 hook points of 2 names; attach to the one"),
        VectorController(torch.ones(16), "hook_second").attached(both),
    ):
        pass


def test_transformer_lens_resets_leave_the_intervention(model, tokens):
    controller, seen = VectorController(torch.ones(16), HOOK), []
    plain, watch = model(tokens), [(HOOK, lambda x, hook: seen.append(x))]
    with controller.attached(model) as handle:
        controlled = model(tokens)
        assert torch.equal(model.run_with_hooks(tokens, fwd_hooks=watch), controlled)
        model.run_with_cache(tokens)
        model.reset_hooks()
        assert torch.equal(model(tokens), controlled)
        assert handle.fired == {HOOK: 4} and len(seen) == 1
        model.reset_hooks(including_permanent=True)
        assert torch.equal(model(tokens), plain)
        assert handle.fired == {HOOK: 4}
    assert hook_count(model) == 0


def test_blocks_may_end_in_any_order(bare):
    x = torch.randn(2, 3, 16)
    plain = bare(x)
    ones = VectorController(torch.ones(16), "hook_second")
    first, second = ones.attached(bare), ones.attached(bare)
    one, two = first.__enter__(), second.__enter__()
    torch.testing.assert_close(bare(x), plain + 2)
    first.__exit__(None, None, None)
    assert torch.equal(bare(x), plain + 1)
    second.__exit__(None, None, None)
    assert torch.equal(bare(x), plain)
    assert one.fired == {"hook_second": 1} and two.fired == {"hook_second": 2}


def test_plain_functions_are_attached_alike(bare):
    x = torch.randn(2, 3, 16)
    hooks = [("hook_first", lambda x, hook: 0 * x), ("hook_second", lambda x, hook: None)]
    with attach(bare, hooks) as handle:
        assert torch.equal(bare(x), bare.second.bias.expand(2, 3, 16))
    assert handle.fired == {"hook_first": 1, "hook_second": 1}


def test_nested_attachments_apply_in_order(bare):
    x = torch.randn(2, 3, 16)
    add = VectorController(torch.ones(16), "hook_second")
    double = LowRankController(torch.eye(16), torch.eye(16), "hook_second")
    plain = bare(x)
    with add.attached(bare):
        with double.attached(bare):
            torch.testing.assert_close(bare(x), 2 * (plain + 1))
        assert torch.equal(bare(x), plain + 1)


@pytest.mark.parametrize("layers", [0, 1])
def test_what_never_fires_says_so_when_the_block_ends(model, tokens, layers):
    both = Together(AblatePatch("hook_embed"), AblatePatch(HOOK))
    missed = f"hook_embed, {HOOK}" if layers == 0 else HOOK
    message = f"nothing has run {missed} in this block"
    with pytest.raises(ValueError, match=message), both.attached(model):
        if layers:
            model(tokens, stop_at_layer=layers)
    assert hook_count(model) == 0


def test_never_firing_may_be_meant_and_hides_no_other_error(model):
    with AblatePatch(HOOK).attached(model, must_fire=False) as handle:
        pass
    assert handle.fired == {HOOK: 0}
    for error in (KeyboardInterrupt, RuntimeError):
        with pytest.raises(error), AblatePatch(HOOK).attached(model):
            raise error
    assert hook_count(model) == 0


@pytest.fixture
def compiled(bare):
    """A model that has been compiled, and run."""
    made = torch.compile(bare, backend="eager")
    made(torch.zeros(1, 2, 16))
    yield made
    torch.compiler.reset()


def test_a_compiled_model_is_refused_and_the_remedy_works(bare, compiled):
    x, ablate = torch.zeros(1, 2, 16), AblatePatch("hook_second")
    with pytest.raises(ValueError, match=r"the model is compiled, .* `_orig_mod`"):
        ablate.attached(compiled).__enter__()
    with ablate.attached(compiled._orig_mod):
        assert not compiled._orig_mod(x).any()
    bare.hook_second.compile(backend="eager")
    with pytest.raises(ValueError, match=r"hook_second is compiled, .* copy\.deepcopy"):
        ablate.attached(bare).__enter__()
    with AblatePatch("hook_first").attached(bare):  # is in no compiled module
        bare(x)
    uncompiled = copy.deepcopy(bare)
    with ablate.attached(uncompiled):
        assert not uncompiled(x).any()
    assert hook_count(bare) == 0


def test_running_what_was_compiled_of_the_model_says_so(bare, compiled):
    x, ablate = torch.zeros(1, 2, 16), AblatePatch("hook_second")
    message = "nothing has run hook_second.*compiled"
    with pytest.raises(ValueError, match=message), ablate.attached(bare):
        assert compiled(x).any()
    with torch.compiler.set_stance("force_eager"), ablate.attached(bare):
        assert not compiled(x).any()


def test_an_intervention_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        Intervention(HOOK)  # type: ignore[abstract]
