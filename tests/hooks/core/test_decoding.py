"""Where a forward pass starts: announced while it runs, by whoever knows, and by nobody after."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformer_lens.cache.key_value_cache import TransformerLensKeyValueCache
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.model_bridge.sources import build_bridge_from_module
from transformers import GPT2Config, GPT2LMHeadModel, MambaConfig, MambaForCausalLM
from transformers.cache_utils import DynamicCache

from irl_lens.hooks import (
    AblatePatch,
    Intervention,
    Mask,
    Sequence,
    VectorController,
    attach,
    starting_at,
)
from irl_lens.hooks.core.decoding import announced, start
from irl_lens.hooks.core.key_values import announcing
from tests.hooks.bridges import VOCABULARY, mixtral

D, ROWS, STEPS = 16, 3, 6
HOOK, LAST = "blocks.0.hook_resid_post", "blocks.1.hook_resid_post"
GREEDY = {"do_sample": False, "stop_at_eos": False, "verbose": False, "return_type": "tokens"}


class Where(Intervention):
    """Notes where each window starts and how long it is."""

    def __init__(self, hook_name: str = HOOK) -> None:
        super().__init__(hook_name)
        self.seen: list[tuple[int | None, int]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append((self.offset if self.windowed else None, x.shape[1]))
        return x


def new_cache(model) -> TransformerLensKeyValueCache:
    return TransformerLensKeyValueCache.init_cache(model.cfg, "cpu", ROWS)


def test_starting_at_reaches_inner_interventions_and_ends_with_its_block():
    inner = AblatePatch(HOOK)
    Mask(inner, steps=[0])
    with pytest.raises(RuntimeError), starting_at(4):
        assert inner.offset == 4 and inner.windowed
        with starting_at(None):
            assert inner.offset == 0 and not inner.windowed
        assert inner.offset == 4
        raise RuntimeError
    assert inner.offset == 0 and not inner.windowed


def test_nothing_is_before_the_sequence():
    with pytest.raises(ValueError, match="step -1 is before the sequence"), starting_at(-1):
        pass


def test_each_thread_has_its_own():
    together, patch = Barrier(3), AblatePatch(HOOK)

    def ask(step: int) -> int:
        with starting_at(step):
            together.wait()
            return patch.offset

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(ask, range(3))) == [0, 1, 2]
    assert start() is None


def test_a_model_that_knows_is_not_to_be_told_otherwise(model, tokens):
    cache, ones, where = new_cache(model), torch.ones_like(tokens), Where()
    with where.attached(model):
        model(tokens, past_kv_cache=cache, attention_mask=ones)
        with starting_at(STEPS):
            model(tokens, past_kv_cache=cache, attention_mask=ones)
        with starting_at(3), pytest.raises(ValueError, match=r"starting_at\(3\).*holds 12 steps"):
            model(tokens, past_kv_cache=cache, attention_mask=ones)
    assert where.seen == [(0, STEPS), (STEPS, STEPS)]


def test_a_whole_sequence_run_while_a_window_passes_is_whole(model, tokens):
    where, cache = Where(LAST), new_cache(model)

    def whole(x: Tensor, hook: Any) -> None:
        other(tokens)

    other = copy.deepcopy(model)
    with where.attached(other), attach(model, [(HOOK, whole)]):
        for token in tokens[:, :2].split(1, dim=1):
            model(token, past_kv_cache=cache, attention_mask=torch.ones_like(token))
    assert where.seen == [(None, STEPS)] * 2


def test_caches_filled_from_a_layer_on_and_frozen_ones(model, tokens):
    cache, where = new_cache(model), Where(LAST)
    with where.attached(model):
        stream = model(tokens[:, :2], stop_at_layer=1)
        for held, first in ((0, 1), (2, 1), (4, -2), (4, -2)):
            ones = torch.ones(ROWS, held + 2)
            model(stream, start_at_layer=first, past_kv_cache=cache, attention_mask=ones)
            if held == 2:
                cache.freeze()
    assert [at for at, _ in where.seen] == [0, 2, 4, 4]


def test_run_with_hooks_takes_what_one_says(model, tokens):
    cache, first = new_cache(model), AblatePatch(HOOK, steps=[0])
    expected, found = model.run_with_hooks(tokens, fwd_hooks=first.fwd_hooks()), []
    for step, token in enumerate(tokens.split(1, dim=1)):
        with starting_at(step):
            found.append(
                model.run_with_hooks(
                    token,
                    past_kv_cache=cache,
                    attention_mask=torch.ones_like(token),
                    fwd_hooks=first.fwd_hooks(),
                )
            )
    torch.testing.assert_close(torch.cat(found, 1), expected, atol=1e-4, rtol=0)


def last_steps(model, intervention: Intervention, generate) -> tuple[Tensor, Tensor]:
    """What is generated, and the stream at the last position of every forward pass."""
    seen = []
    with intervention.attached(model) as handle:
        with attach(model, [(LAST, lambda x, hook: seen.append(x[:, -1]))]):
            tokens = generate()
        assert set(handle.fired.values()) == {len(seen)}
    return tokens, torch.stack(seen, 1)


def check_generation(model, intervention: Intervention, generate, prompt: int) -> None:
    """Asserts that generating is running what was generated as a whole."""
    tokens, found = last_steps(model, intervention, generate)
    whole = []
    with intervention.attached(model), attach(model, [(LAST, lambda x, hook: whole.append(x))]):
        model(tokens[:, :-1])
    torch.testing.assert_close(found, whole[0][:, prompt - 1 :], atol=1e-4, rtol=0)


@pytest.mark.parametrize("model", ["alibi"], indirect=True)
def test_generation_with_a_cache(model, tokens, intervention):
    """Positions of ``standard`` are wrong in TransformerLens' own, if there is no tokenizer."""

    def generate() -> Tensor:
        return model.generate(tokens[:, :3], max_new_tokens=STEPS - 2, **GREEDY)

    check_generation(model, intervention, generate, 3)
    assert "forward" not in vars(model)


V = VectorController(5 * torch.randn(D, generator=torch.Generator().manual_seed(0)), HOOK)
EARLY = {
    "first step": lambda: Mask(V, steps=[0]),
    "second step": lambda: Mask(V, steps=[1]),
    "until a step": lambda: Sequence(V, -V, until=1),
    "until it says": lambda: Sequence(V, -V, until=lambda x: x[..., 0] > 0.5),
}


@pytest.fixture(params=EARLY)
def early(request: pytest.FixtureRequest) -> Intervention:
    """Acts otherwise at later steps than at the prompt's."""
    return EARLY[request.param]()


@pytest.mark.parametrize(
    ("model", "cached"),
    [("alibi", True), ("alibi", False), ("standard", False)],
    indirect=["model"],
)
def test_generation_of_a_hooked_transformer(model, tokens, early, cached):
    def generate() -> Tensor:
        return model.generate(tokens[:, :3], max_new_tokens=5, use_past_kv_cache=cached, **GREEDY)

    check_generation(model, early, generate, 3)


@pytest.fixture(scope="module")
def native() -> TransformerBridge:
    sizes = {"n_layers": 2, "d_model": D, "n_heads": 2, "d_head": 8, "d_mlp": 32, "n_ctx": 16}
    model = TransformerBridge.boot_native({**sizes, "d_vocab": 11, "act_fn": "relu", "seed": 0})
    return model.requires_grad_(False).eval()


@pytest.fixture(scope="module")
def hugging_face() -> TransformerBridge:
    config = GPT2Config(
        n_layer=2,
        n_embd=D,
        n_head=2,
        n_positions=16,
        vocab_size=11,
        bos_token_id=0,
        eos_token_id=None,
        initializer_range=0.3,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GPT2LMHeadModel(config).eval().requires_grad_(False)
    return build_bridge_from_module(model, "GPT2LMHeadModel", hf_config=config)


@pytest.mark.parametrize("kind", ["native", "hugging_face"])
@pytest.mark.parametrize("cached", [True, False])
def test_generation_of_a_bridge(request, kind, tokens, early, cached):
    bridge = request.getfixturevalue(kind)

    def generate() -> Tensor:
        return bridge.generate(tokens[:, :3], max_new_tokens=5, use_past_kv_cache=cached, **GREEDY)

    check_generation(bridge, early, generate, 3)
    assert "forward" not in vars(bridge) and "forward" not in vars(bridge.original_model)


def test_generation_by_hugging_face_itself(hugging_face, tokens, early):
    def generate() -> Tensor:
        return hugging_face.original_model.generate(
            tokens[:, :3],
            max_new_tokens=5,
            do_sample=False,
            attention_mask=torch.ones(ROWS, 3),  # or it would take a token 0 for padding
        )

    check_generation(hugging_face, early, generate, 3)


def test_later_steps_need_the_cache(hugging_face, model, tokens):
    """Without one, the whole sequence so far is run each time, and they are beyond it."""
    late = Mask(V, steps=[4])
    for one in (hugging_face, model):
        with pytest.raises(ValueError, match="step 4 at"), late.attached(one):
            one.generate(tokens[:, :3], max_new_tokens=5, use_past_kv_cache=False, **GREEDY)
        with late.attached(one), starting_at(0):
            one.generate(tokens[:, :3], max_new_tokens=5, use_past_kv_cache=False, **GREEDY)


def test_a_latch_begins_anew_with_each_generation(model, tokens):
    latched = Sequence(V, -V, until=lambda x: x[..., 0] > 0.5)
    found = [
        last_steps(
            model, latched, lambda p=p: model.generate(tokens[:, :p], max_new_tokens=4, **GREEDY)
        )
        for p in (3, 2, 3)
    ]
    assert torch.equal(found[0][0], found[2][0]) and torch.equal(found[0][1], found[2][1])


def test_a_latch_is_not_that_of_another_sequence_of_the_same_length(model, tokens):
    _, plain = model.run_with_cache(tokens)
    above = plain[HOOK][..., 0].median()
    latched = Sequence(V, -V, until=lambda x: x[..., 0] > above)
    with latched.attached(model):
        expected = model(tokens)
        ours, other, ones = new_cache(model), new_cache(model), torch.ones_like(tokens[:, :3])
        model(tokens[:, :3], past_kv_cache=ours, attention_mask=ones)
        model(tokens[:, 3:])  # a whole sequence between two windows changes nothing
        found = model(tokens[:, 3:], past_kv_cache=ours, attention_mask=ones)
        assert not torch.allclose(expected[:, 3:], model(tokens)[:, :3], atol=1e-3)
        torch.testing.assert_close(found, expected[:, 3:], atol=1e-4, rtol=0)
        ours = new_cache(model)
        for cache, seen in ((ours, tokens[:, :3]), (other, tokens[:, 3:])):
            model(seen, past_kv_cache=cache, attention_mask=ones)
        with pytest.raises(ValueError, match="or is of another sequence; run each"):
            model(tokens[:, 3:], past_kv_cache=ours, attention_mask=ones)


def test_rotated_keys_of_a_bridge_are_refused_in_cached_decoding():
    bridge, name = mixtral(), "blocks.0.attn.hook_rot_k"
    tokens = torch.randint(VOCABULARY, (2, 4), generator=torch.Generator().manual_seed(0))
    clean, cache = bridge(tokens), DynamicCache()
    with AblatePatch(name, steps=[2]).attached(bridge):
        whole = bridge(tokens)
        assert torch.equal(whole[:, :2], clean[:, :2]) and not torch.equal(whole, clean)
        bridge.original_model(tokens[:, :2], past_key_values=cache, use_cache=True)
        with pytest.raises(ValueError, match="keys of the new steps alone"):
            bridge.original_model(tokens[:, 2:], past_key_values=cache, use_cache=True)


def test_generation_leaves_the_embedding_out_and_says_so(model, tokens):
    with (
        pytest.raises(ValueError, match="nothing has run hook_embed in this block"),
        AblatePatch("hook_embed").attached(model),
    ):
        model.generate(tokens[:, :3], max_new_tokens=2, **GREEDY)


def test_a_state_space_model_does_not_know_its_step():
    config = MambaConfig(vocab_size=11, hidden_size=D, num_hidden_layers=2, state_size=4)
    mamba = MambaForCausalLM(config).eval()
    bridge = build_bridge_from_module(mamba, "MambaForCausalLM", hf_config=config)
    prompt, name = torch.tensor([[1, 2, 3]]), "blocks.0.hook_out"
    everywhere = VectorController(torch.ones(D), name)
    with everywhere.attached(bridge) as handle:
        bridge.generate(prompt, max_new_tokens=3, **GREEDY)
    assert handle.fired[name] == 3
    with (
        pytest.raises(ValueError, match=r"does not say how many steps it holds.*whole sequences"),
        Mask(everywhere, steps=[0]).attached(bridge),
    ):
        bridge.generate(prompt, max_new_tokens=3, **GREEDY)


def test_the_model_is_as_it_was_whatever_happens(model, tokens):
    first, second = V.attached(model), V.attached(model)
    for one in (first, second):
        one.__enter__()
    model(tokens)
    first.__exit__(None, None, None)
    where = Where()
    with pytest.raises(RuntimeError), where.attached(model):
        model(tokens[:, :1], past_kv_cache=new_cache(model), attention_mask=tokens[:, :1] * 0 + 1)
        raise RuntimeError
    assert where.seen == [(0, 1)]
    second.__exit__(None, None, None)
    assert "forward" not in vars(model)


def test_a_forward_of_the_objects_own_is_run_and_kept(hugging_face, tokens):
    calls, model = [], hugging_face.original_model
    own = model.forward

    def mine(*args, **kwargs):
        calls.append(1)
        return own(*args, **kwargs)

    model.forward, where = mine, Where()
    try:
        with where.attached(hugging_face):
            hugging_face(tokens, past_key_values=DynamicCache())
        # It hides its arguments, so the decoder inside it announces the cache.
        assert vars(model)["forward"] is mine and calls == [1]
    finally:
        del model.forward
    assert where.seen == [(0, STEPS)]


def test_a_copy_made_inside_announces_itself(model, tokens):
    where = Where()
    with where.attached(model, must_fire=False):
        twin = copy.deepcopy(model)
        for layer in (0, 1):
            twin.blocks[layer].attn.W_V.data.zero_()
    assert "forward" not in vars(model)
    with torch.no_grad():
        expected = model(tokens)
    cache = new_cache(twin)
    found = [
        twin(token, past_kv_cache=cache, attention_mask=torch.ones_like(token))
        for token in tokens.split(1, 1)
    ]
    assert [at for at, _ in where.seen] == list(range(STEPS))
    assert not torch.allclose(torch.cat(found, 1), expected, atol=1e-2)


def test_any_model_announces_its_whole_sequences(bare):
    where = Where("hook_second")
    with where.attached(bare), announced(4):
        bare(torch.zeros(1, 2, D))
        with starting_at(3):
            bare(torch.zeros(1, 2, D))
    assert where.seen == [(None, 2), (3, 2)]
    assert "forward" not in vars(bare)


def test_a_model_of_two_decoders_asks_each():
    class Decoder(nn.Module):
        def forward(self, x, past_key_values=None):
            return start()

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = Decoder(), Decoder()

        def forward(self, x, **kwargs):
            return self.one(x, **kwargs), self.two(x)

    outer = Outer()
    with announcing(outer):
        assert outer(0, past_key_values=DynamicCache()) == (0, None)
        assert outer.two(0, DynamicCache()) == 0
    assert outer(0, past_key_values=DynamicCache()) == (None, None)
