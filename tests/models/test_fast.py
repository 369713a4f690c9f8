"""The fast path against TransformerLens' forward: any hook, any module in place of another."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from transformer_lens.components.layer_norm import LayerNorm

from irl_lens.errors import UserError
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.fast import FastPath, matmul_dtype

from .conftest import OBSERVATIONS, SPEC, assert_same, decoded, make_model


class Counted:
    """Changes what passes by, and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def hook(self, tensor: Tensor, hook: object) -> Tensor:
        self.calls += 1
        return tensor * 1.5 + 0.1

    def forward_hook(self, module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        return self.hook(output, None)

    def pre_hook(self, module: nn.Module, inputs: tuple) -> tuple | None:
        self.calls += 1
        return (inputs[0] * 1.5 + 0.1, *inputs[1:]) if inputs and is_stream(inputs[0]) else None

    def backward_hook(self, module: nn.Module, gradient: object, output: object) -> None:
        self.calls += 1


def is_stream(x: object) -> bool:
    return isinstance(x, Tensor) and x.is_floating_point()


def settings_on(model: TrajectoryModel) -> TrajectoryModel:
    """With every hook point that TransformerLens leaves out unless asked."""
    for name in ("use_attn_result", "use_split_qkv_input", "use_attn_in", "use_hook_mlp_in"):
        setattr(model.hooked.cfg, name, True)
    return model


def compared(
    model: TrajectoryModel, attach: Callable[[Counted], AbstractContextManager]
) -> Counted:
    """Runs TransformerLens and the fast path with a hook, and compares outputs and firings."""
    path, resid = FastPath(model), model.hooked(OBSERVATIONS, stop_at_layer=1)
    runs = [
        (lambda: path.residual(OBSERVATIONS, 1), dict(stop_at_layer=1)),
        (lambda: path.residual(resid=resid, start=1), dict(start_at_layer=1, stop_at_layer=2)),
        (lambda: path.logits(OBSERVATIONS), {}),
    ]
    for fast, options in runs:
        with attach(slow := Counted()):
            expected = model.hooked(
                resid if "start_at_layer" in options else OBSERVATIONS, **options
            )
        with attach(quick := Counted()):
            assert_same(fast(), expected)
        assert quick.calls == slow.calls
    return slow


@torch.no_grad()
def test_every_hook_point_acts_as_in_transformer_lens(model):
    settings_on(model)
    silent = []
    for point in model.hooked.hook_dict:
        counted = compared(model, lambda c, p=point: model.hooked.hooks(fwd_hooks=[(p, c.hook)]))
        silent += [] if counted.calls else [point]
    assert silent == ["hook_pos_embed"]  # ALiBi has none


@torch.no_grad()
def test_every_hook_point_may_be_given_with_the_call(model):
    fast = FastPath(settings_on(model))
    for point in model.hooked.hook_dict:
        slow, quick = Counted(), Counted()
        logits = model.hooked.run_with_hooks(OBSERVATIONS, fwd_hooks=[(point, slow.hook)])
        assert_same(fast.logits(OBSERVATIONS, fwd_hooks=[(point, quick.hook)]), logits)
        assert quick.calls == slow.calls


@torch.no_grad()
def test_torch_s_own_hooks_act_on_every_module(model):
    for name, module in model.hooked.named_modules():
        if name:
            compared(model, lambda c, m=module: both_sides(m, c))


@contextmanager
def both_sides(module: nn.Module, counted: Counted) -> Iterator[None]:
    with (
        module.register_forward_hook(counted.forward_hook),
        module.register_forward_pre_hook(counted.pre_hook),
    ):
        yield


@pytest.mark.filterwarnings("ignore:Full backward hook is firing when gradients")
def test_backward_hooks_fire_on_every_module(model):
    fast = FastPath(model)
    for name, module in model.hooked.named_modules():
        slow, quick = Counted(), Counted()
        for forward, counted in ((model.hooked, slow), (fast.logits, quick)) if name else ():
            with module.register_full_backward_hook(counted.backward_hook):
                forward(OBSERVATIONS).sum().backward()
        assert quick.calls == slow.calls


@torch.no_grad()
def test_a_hook_on_a_block_put_in_later_acts(model):
    fast = FastPath(model)
    fast.logits(OBSERVATIONS)
    model.hooked.blocks[1] = make_model(1).hooked.blocks[1]
    model.hooked.setup()
    model.hooked.add_hook("blocks.1.attn.hook_z", lambda z, hook: z * 0)
    assert_same(fast.logits(OBSERVATIONS), model(OBSERVATIONS))


@torch.no_grad()
def test_global_hooks_see_every_module(model):
    fast = FastPath(model)
    names = []
    for forward in (model.hooked, fast.logits):
        seen = []
        with register_module_forward_hook(lambda module, *_, seen=seen: seen.append(id(module))):
            forward(OBSERVATIONS)
        names.append(sorted(seen))
    assert names[0] == names[1]


@pytest.mark.parametrize("whole", ["", "hooked"])
def test_a_hook_on_the_whole_model_is_refused(model, whole):
    fast = FastPath(model)
    module = model.get_submodule(whole)
    with (
        module.register_forward_hook(lambda *_: None),
        pytest.raises(UserError, match="as a whole"),
    ):
        fast.logits(OBSERVATIONS)
    fast.logits(OBSERVATIONS)


def doubled(module: nn.Module) -> Callable[..., Tensor]:
    before = module.forward
    return lambda *args, **options: 2 * before(*args, **options)


@pytest.mark.parametrize("name", ["blocks.0", "blocks.1.attn", "blocks.0.mlp", "blocks.1.ln1"])
@torch.no_grad()
def test_a_module_s_own_forward_runs(model, name):
    fast = FastPath(model)
    fast.logits(OBSERVATIONS)
    module = model.hooked.get_submodule(name)
    module.forward = doubled(module)
    assert_same(fast.logits(OBSERVATIONS), model(OBSERVATIONS))
    del module.forward
    assert fast._needs_transformer_lens() is None


@torch.no_grad()
def test_a_method_of_its_own_runs(model):
    fast, attention = FastPath(model), model.hooked.blocks[0].attn
    before = type(attention).calculate_z_scores
    attention.calculate_z_scores = lambda v, pattern: 2 * before(attention, v, pattern)
    assert_same(fast.logits(OBSERVATIONS), model(OBSERVATIONS))


@torch.no_grad()
@pytest.mark.parametrize("parent", ["blocks.0", ""])
def test_a_module_of_another_kind_runs(model, parent):
    class Bent(LayerNorm):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).tanh()

    fast = FastPath(model)
    norm = Bent(model.hooked.cfg)
    setattr(model.hooked.get_submodule(parent), "ln2" if parent else "ln_final", norm)
    assert_same(fast.logits(OBSERVATIONS), model(OBSERVATIONS))


def test_other_settings_are_refused(model):
    fast = FastPath(model)
    model.hooked.cfg.output_logits_soft_cap = 1.0
    with pytest.raises(UserError, match=r"output_logits_soft_cap is 1.0, .* -1.0"):
        fast.logits(OBSERVATIONS)


@torch.no_grad()
@pytest.mark.parametrize("point", ["ln_final.hook_scale", "ln_final.hook_normalized", "hook_embed"])
def test_cached_decoding_takes_hooks_on_the_last_norm_and_refuses_others(model, point):
    fast = FastPath(model)
    with model.hooked.hooks(fwd_hooks=[(point, Counted().hook)]):
        if point == "hook_embed":
            with pytest.raises(UserError, match=r"but hooked\.hook_embed is hooked"):
                decoded(fast)
        else:
            assert_same(decoded(fast), model(OBSERVATIONS))


@pytest.mark.parametrize("cuda", [False, True])
@pytest.mark.parametrize("avx", [False, True])
def test_auto_goes_by_the_device_of_the_weights(model, monkeypatch, cuda, avx):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: cuda)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx)
    dtypes = {False: torch.float32, True: torch.bfloat16}
    assert FastPath(model, "auto").dtype == dtypes[avx]
    assert matmul_dtype("auto", torch.device("cpu")) == dtypes[avx]
    assert matmul_dtype("auto", torch.device("cuda")) == dtypes[cuda]
    assert matmul_dtype("auto", torch.device("meta")) == torch.float32


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("dense", [False, True])
def test_a_base_of_another_type_runs(model, dtype, dense):
    observations = torch.as_tensor(SPEC.dense(OBSERVATIONS.numpy())) if dense else OBSERVATIONS
    before, fast = model(observations), FastPath(model)
    model.to(dtype)
    logits = model(observations)
    assert logits.dtype == model.hooked.cfg.dtype == dtype
    torch.testing.assert_close(logits.float(), before, atol=0.1, rtol=0.05)
    assert torch.equal(fast.logits(observations), logits)
    with pytest.raises(UserError, match=f"float32 weights, but the weights are {dtype}"):
        fast.logits(observations, cache=fast.cache(3, 6))
    assert_same(fast.logits(observations), model(observations))


@torch.no_grad()
def test_another_device_is_followed(model):
    """Shapes alone, on torch's device without memory: whatever lay elsewhere would raise."""
    model(OBSERVATIONS)
    fast = FastPath(model.to("meta"))
    assert fast.logits(OBSERVATIONS.to("meta")).device.type == "meta"
    assert model(OBSERVATIONS.to("meta")).device.type == "meta"
    assert decoded_on(fast, "meta").shape == (3, 1, 4)


def decoded_on(fast: FastPath, device: str) -> Tensor:
    cache = fast.cache(3, 4)
    fast.logits(OBSERVATIONS[:, :3].to(device), cache=cache)
    return fast.logits(OBSERVATIONS[:, 3:4].to(device), cache=cache)
