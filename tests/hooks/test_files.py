"""Saving: exact round trips, and everything that must be refused."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from irl_lens.hooks import (
    Controller,
    ControllerBank,
    HypernetworkDecoder,
    VectorController,
    load,
    read_header,
    save,
)

D, ROWS, STEPS = 16, 3, 6
HOOK = "blocks.1.hook_resid_post"


def test_round_trip_is_bit_exact(tmp_path, intervention):
    file = save(intervention, tmp_path)
    loaded = load(file)
    assert type(loaded) is type(intervention)
    assert loaded.config() == intervention.config()
    before, after = intervention.state_dict(), loaded.state_dict()
    assert before.keys() == after.keys()
    for name in before:
        assert before[name].dtype == after[name].dtype and torch.equal(before[name], after[name])
    assert [n for n, _ in loaded.named_parameters()] == [
        n for n, _ in intervention.named_parameters()
    ]
    x = torch.randn(ROWS, STEPS, D)
    assert torch.equal(loaded(x), intervention(x))
    assert [path.name for path in tmp_path.iterdir()] == ["intervention.safetensors"]


def test_banks_and_decoders_are_saved_too(tmp_path):
    bank = ControllerBank.low_rank(["left", "right"], D, 4, HOOK)
    loaded = load(save(bank, tmp_path / "bank.safetensors"))
    assert isinstance(loaded, ControllerBank) and loaded.names == ("left", "right")
    x = torch.randn(2, 3, D)
    assert torch.equal(loaded["right"](x), bank["right"](x))
    decoder = HypernetworkDecoder(5, 8, D, 4)
    again = load(save(decoder, tmp_path / "decoder.safetensors"))
    assert isinstance(again, HypernetworkDecoder) and again.config() == decoder.config()
    assert torch.equal(again.delta(torch.ones(5), x[0, 0]), decoder.delta(torch.ones(5), x[0, 0]))


def test_header(tmp_path):
    bank = ControllerBank.low_rank("ab", D, 4, HOOK)
    header = read_header(save(bank, tmp_path / "new" / "folder", base_hash="abc", card={"nll": 1}))
    assert header.hook_name == HOOK and header.base_hash == "abc" and header.card == {"nll": 1}
    assert header.shapes == {"stack.A": [2, 4, D], "stack.B": [2, D, 4]}
    assert header.description["kind"] == "ControllerBank"
    assert header.trainable == ["stack.A", "stack.B"]


@pytest.mark.parametrize("saved", ["0123", None])
def test_another_base_is_refused_with_both_hashes(tmp_path, saved):
    file = save(VectorController(torch.ones(D), HOOK), tmp_path, base_hash=saved)
    with pytest.raises(ValueError, match=f"made for the base model {saved}, not for 4567"):
        load(file, verify="4567")
    load(file, verify=saved)


@pytest.mark.parametrize("size", [0, 5, 100, -1])
def test_truncated_files_are_refused(tmp_path, size):
    file = save(VectorController(torch.ones(D), HOOK), tmp_path)
    file.write_bytes(file.read_bytes()[:size])
    for reading in (load, read_header):
        with pytest.raises(ValueError, match=r"intervention\.safetensors.*truncated"):
            reading(file)


def test_missing_and_foreign_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load(tmp_path / "none.safetensors")
    save_file({"v": torch.ones(3)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ValueError, match="has the format None"):
        load(tmp_path / "foreign.safetensors")


def test_shapes_that_differ_from_the_header_are_refused(tmp_path):
    file = save(VectorController(torch.ones(D), HOOK), tmp_path)
    header = read_header(file)
    metadata = {"intervention": json.dumps(vars(header))}
    for tensors in ({"v": load_file(file)["v"][:4]}, {"w": torch.ones(2)}):
        save_file(tensors, file, metadata)
        with pytest.raises(ValueError, match=r"v is \[16\], the file holds (\[4\]|None)|w is None"):
            load(file)


def test_a_failed_save_keeps_the_old_file(tmp_path):
    file = save(VectorController(torch.ones(D), HOOK), tmp_path)
    with pytest.raises(TypeError, match="not JSON serializable"):
        save(VectorController(torch.zeros(D), HOOK), tmp_path, card={"x": nn.Linear(1, 1)})
    assert torch.equal(load(file).state_dict()["v"], torch.ones(D))
    assert len(list(tmp_path.iterdir())) == 1


class Unknown(VectorController):
    """A kind that files know nothing of."""


def test_unknown_kinds_are_refused(tmp_path):
    with pytest.raises(ValueError, match="a Unknown cannot be saved; those that can: LowRank"):
        save(Unknown(torch.ones(D), HOOK), tmp_path)
    assert issubclass(Unknown, Controller)
