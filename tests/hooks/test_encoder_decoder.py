"""Models of an encoder and a decoder: each counts its own steps, with a cache too."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

from irl_lens.hooks import (
    AblatePatch,
    Mask,
    ReplacePatch,
    Sequence,
    TransplantPatch,
    attach,
)
from tests.hooks.bridges import bart, gpt2

ROWS, READ, WRITTEN = 3, 7, 5
generator = torch.Generator().manual_seed(0)
READS = torch.randint(3, 11, (ROWS, READ), generator=generator)
WRITES = torch.randint(3, 11, (ROWS, WRITTEN), generator=generator)
ENCODED, LAST = "encoder_blocks.0.hook_resid_post", "decoder_blocks.1.hook_resid_post"
POINTS = [
    *("embed.hook_out", ENCODED, "decoder_blocks.0.self_attn.hook_k"),
    *(f"decoder_blocks.1.cross_attn.hook_{name}" for name in "qkv"),
    LAST,
]


@pytest.fixture(scope="module")
def bridge() -> TransformerBridge:
    return bart()


def whole(bridge: TransformerBridge) -> Tensor:
    return bridge(READS, decoder_input=WRITES)


def decoded(bridge: TransformerBridge, again: bool) -> Tensor:
    """The same in windows, the encoder run in each of them or once."""
    model: Any = bridge.original_model
    cache, found = new_cache(), []
    once = None if again else model.get_encoder()(input_ids=READS)
    for window in WRITES.split([2, 1, 2], dim=1):
        read = {"input_ids": READS} if once is None else {"encoder_outputs": once}
        given = {"decoder_input_ids": window, "past_key_values": cache, "use_cache": True}
        found.append(model(**read, **given).logits)
    return torch.cat(found, 1)


def new_cache() -> EncoderDecoderCache:
    return EncoderDecoderCache(DynamicCache(), DynamicCache())


@pytest.mark.parametrize("again", [True, False])
@pytest.mark.parametrize("name", POINTS)
def test_windows_are_the_whole_sequence(bridge, name, again):
    _, plain = bridge.run_with_cache(READS, decoder_input=WRITES)
    other = 1.5 * plain[name].flip(0)
    above = plain[name].flatten(2)[..., 3].median()
    for intervention in (
        ReplacePatch(other, name, steps=[1, 3], rows=[0, 2]),
        Mask(ReplacePatch(other, name), steps=[0, 4]),
        Sequence(AblatePatch(name), ReplacePatch(other, name), until=3),
        Sequence(
            AblatePatch(name),
            ReplacePatch(other, name),
            until=lambda x: x.flatten(2)[..., 3] > above,
        ),
    ):
        with intervention.attached(bridge):
            expected, found = whole(bridge), decoded(bridge, again)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
        assert not torch.allclose(expected, whole(bridge), atol=1e-3)


def test_the_encoder_reads_from_its_first_step_on_in_every_pass(bridge):
    cache = new_cache()
    with AblatePatch(ENCODED, steps=[5]).attached(bridge):
        for window in WRITES.split(1, dim=1):
            given = {"decoder_input": window, "past_key_values": cache, "use_cache": True}
            _, seen = bridge.run_with_cache(READS, **given)
            zero = (seen[ENCODED] == 0).all(-1)
            assert zero.all(0).nonzero().tolist() == [[5]] and not zero[:, :5].any()
    with (
        pytest.raises(ValueError, match=r"step 7 at .* has 7 steps here"),
        AblatePatch(ENCODED, steps=[READ]).attached(bridge),
    ):
        bridge(READS, decoder_input=WRITES, use_cache=True)
    encoder = bridge.original_model.get_encoder()
    assert "forward" not in vars(encoder) and "forward" not in vars(bridge.original_model)


@pytest.mark.parametrize(
    "intervention",
    [AblatePatch(ENCODED, steps=[5]), ReplacePatch(torch.ones(16), LAST, steps=[0, 2])],
)
def test_generation_by_hugging_face_itself(bridge, intervention):
    found: list[Tensor] = []
    settings = {"max_new_tokens": 4, "min_new_tokens": 4, "do_sample": False, "num_beams": 1}
    with intervention.attached(bridge):
        with attach(bridge, [(LAST, lambda x, hook: found.append(x))]):
            tokens = bridge.original_model.generate(READS, **settings)
        _, expected = bridge.run_with_cache(READS, decoder_input=tokens[:, :4])
    assert [x.shape[1] for x in found] == [1] * 4
    torch.testing.assert_close(torch.cat(found, 1), expected[LAST], atol=1e-4, rtol=0)


def test_positions_that_the_decoder_does_not_look_up_are_refused(bridge):
    with (
        pytest.raises(ValueError, match=r"not \[rows, steps, \.\.\]"),
        AblatePatch("decoder_pos_embed.hook_in", steps=[1]).attached(bridge),
    ):
        whole(bridge)


def test_rows_of_position_embeddings_that_all_rows_share_are_refused(bridge):
    name = "decoder_pos_embed.hook_out"
    _, plain = bridge.run_with_cache(READS, decoder_input=WRITES)
    assert len(plain[name]) == 1
    for one in (AblatePatch(name, rows=[0]), Mask(AblatePatch(name), rows=[0])):
        with (
            pytest.raises(ValueError, match="one row that stands for every row"),
            one.attached(bridge),
        ):
            whole(bridge)


@pytest.mark.parametrize("name", ["hook_pos_embed", "pos_embed.hook_out"])
def test_they_are_where_hugging_face_runs_a_decoder_alone(name):
    bridge, source = gpt2(), torch.ones(2, READ, 16)
    plain = bridge(READS)
    for one in (AblatePatch(name, rows=[0]), TransplantPatch(source, name, {(0, 1): (1, 2)})):
        with one.attached(bridge):
            changed = bridge(READS)
            with pytest.raises(ValueError, match="one row that stands for every row"):
                bridge.original_model(READS)
        assert torch.equal(changed[1:], plain[1:]) and not torch.equal(changed, plain)
