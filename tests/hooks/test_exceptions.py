"""A thousand exceptions at random places leave the model's hooks as they were."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import ExitStack

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from transformer_lens import HookedTransformer, HookedTransformerConfig

from irl_lens.hooks import hook_points

EXCEPTIONS = 1000


class Fault(Exception):
    """Raised by the test."""


class FaultAt(TorchDispatchMode):
    """Raises at the nth tensor operation, wherever it is: in the model or in a hook."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n, self.count = n, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        if self.count == self.n:
            raise Fault(func)
        return func(*args, **(kwargs or {}))


def hook_state(model: nn.Module) -> dict:
    """Every hook of every module, theirs and TransformerLens' own lists of them."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    torch_hooks = {
        (name, kind): list(getattr(module, kind).items())
        for name, module in model.named_modules()
        for kind in kinds
    }
    listed = {
        (name, kind): [(id(handle), handle.is_permanent) for handle in getattr(point, kind)]
        for name, point in hook_points(model).items()
        for kind in ("fwd_hooks", "bwd_hooks")
    }
    return {**torch_hooks, **listed, "level": model.context_level}


def scenario(model, tokens, draw: random.Random, interventions, leave: float) -> None:
    """Forwards inside nested blocks; between two of them it may raise."""
    with ExitStack() as stack:
        for _ in range(draw.randint(1, 3)):
            one = interventions[draw.choice(list(interventions))]
            stack.enter_context(one.attached(model))
            if draw.random() < leave:
                raise Fault("between blocks")
            how = draw.randrange(4)
            if how == 0:
                model(tokens)
            elif how == 1:
                model.run_with_hooks(tokens, fwd_hooks=one.fwd_hooks())
            elif how == 2:
                model.run_with_cache(tokens)
            else:
                model.reset_hooks()
                model(tokens)


@pytest.fixture
def watched():
    """A small model with a permanent hook and a plain torch hook of somebody else's."""
    config = HookedTransformerConfig(
        n_layers=2,
        d_model=16,
        n_heads=2,
        d_head=8,
        n_ctx=6,
        d_vocab=11,
        attn_only=True,
        seed=0,
        device="cpu",
    )
    model = HookedTransformer(config).requires_grad_(False)
    hook_points(model)["blocks.1.hook_resid_post"].add_perma_hook(lambda tensor, hook: None)
    hook_points(model)["blocks.0.hook_attn_out"].register_forward_hook(lambda *_: None)
    return model


def test_a_thousand_exceptions(watched, tokens, kinds):
    interventions = {name: build() for name, build in kinds.items()}
    before, raised, draw = hook_state(watched), Counter(), random.Random(0)
    while raised.total() < EXCEPTIONS:
        try:
            with torch.no_grad(), FaultAt(draw.randint(1, 200)):
                scenario(watched, tokens, draw, interventions, leave=0.1)
        except Fault as fault:
            raised["between" if fault.args == ("between blocks",) else "inside"] += 1
        assert hook_state(watched) == before, raised
    assert min(raised.values()) > 50
