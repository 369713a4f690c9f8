"""Saving: exact round trips, and everything that must be refused."""

from __future__ import annotations

import json
import resource
import tracemalloc
from inspect import isabstract
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from irl_lens import hooks
from irl_lens.hooks import (
    Controller,
    ControllerBank,
    HypernetworkDecoder,
    LinearDecoder,
    LowRankController,
    Part,
    Scale,
    Sum,
    VectorController,
    inspect,
    load,
    model_hash,
    save,
)
from irl_lens.hooks.files.model_hash import content_hash
from irl_lens.hooks.files.part_classes import part_classes
from irl_lens.hooks.files.save_load import HEADER_LIMIT
from tests.elsewhere import elsewhere

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
    bank = ControllerBank.trainable(LowRankController, ["left", "right"], D, HOOK, rank=4)
    loaded = load(save(bank, tmp_path / "bank.safetensors"))
    assert isinstance(loaded, ControllerBank) and loaded.names == ("left", "right")
    x = torch.randn(2, 3, D)
    assert torch.equal(loaded["right"](x), bank["right"](x))
    decoder = HypernetworkDecoder(5, 8, D, 4)
    again = load(save(decoder, tmp_path / "decoder.safetensors"))
    assert isinstance(again, HypernetworkDecoder) and again.config() == decoder.config()
    assert torch.equal(again.delta(torch.ones(5), x[0, 0]), decoder.delta(torch.ones(5), x[0, 0]))


def test_every_kind_is_known():
    exported = {getattr(hooks, name) for name in hooks.__all__}
    parts = {kind for kind in exported if isinstance(kind, type) and issubclass(kind, Part)}
    assert {kind for kind in parts if not isabstract(kind)} - {Part} == {
        known for known in part_classes().values() if known.__module__.startswith("irl_lens.")
    }


def test_header(tmp_path):
    file = save(
        ControllerBank.trainable(LowRankController, "ab", D, HOOK, rank=4),
        tmp_path / "new" / "folder",
        base="abc",
        environment="irl_lens/GridPinpad-v0",
        training={"stage": "controllers", "steps": 2000},
        card={"nll": 0.25, "nan": float("nan")},
    )
    header = inspect(file)
    assert (header.format, header.version) == ("irl-lens intervention", 2)
    assert (header.kind, header.hook_name, header.base_hash) == ("ControllerBank", HOOK, "abc")
    assert (header.d_model, header.rank, header.config) == (D, 4, {"names": ["a", "b"]})
    assert header.environment == "irl_lens/GridPinpad-v0" and header.card["nll"] == 0.25
    about = {"dtype": "float32", "trainable": True}
    assert header.tensors == {
        "stack.A": {**about, "shape": [2, 4, D]},
        "stack.B": {**about, "shape": [2, D, 4]},
    }
    assert str(header) == (
        f"ControllerBank at {HOOK}\n"
        "  base model   abc\n"
        "  d_model      16\n"
        "  rank         4\n"
        "  environment  irl_lens/GridPinpad-v0\n"
        "  training     stage controllers, steps 2000\n"
        "  card         nll 0.25, nan None\n"
        "  tensors      stack.A float32 [2, 4, 16] trainable, stack.B float32 [2, 16, 4] trainable"
    )
    assert isinstance(load(file), ControllerBank)


def test_sizes_that_differ_between_parts_are_left_out(tmp_path):
    thin, thick = (LowRankController.random(D, rank, HOOK) for rank in (2, 3))
    assert inspect(save(Sum(thin, thick), tmp_path / "a")).rank is None
    header = inspect(save(Sum(thin, Scale(thin, 2.0)), tmp_path / "b"))
    assert (header.rank, header.d_model) == (2, D)


def test_inspecting_reads_no_weights(tmp_path):
    file = save(VectorController(torch.ones(D), HOOK), tmp_path)
    file.write_bytes(file.read_bytes()[:-4] + bytes(4))
    assert inspect(file).d_model == D
    with pytest.raises(ValueError, match="not what was saved"):
        load(file)


@pytest.mark.parametrize("saved", ["0123", None])
def test_another_base_is_refused_with_both_hashes(tmp_path, saved):
    file = save(VectorController(torch.ones(D), HOOK), tmp_path, base=saved)
    with pytest.raises(ValueError, match=f"made for the base model {saved}, not for 4567"):
        load(file, verify="4567")
    load(file, verify=saved)


def test_models_are_told_apart_by_their_weights(tmp_path, bare):
    file = save(VectorController(torch.ones(D), "hook_first"), tmp_path, base=bare)
    ours = model_hash(bare)
    assert inspect(file).base_hash == ours
    load(file, verify=bare)
    load(file, verify=bare.double().float())
    with torch.no_grad():
        bare.first.bias[3] += 1e-6
    with pytest.raises(ValueError, match=f"for the base model {ours}, not for {model_hash(bare)}"):
        load(file, verify=bare)


def test_names_and_shapes_are_part_of_the_hash():
    wide, tall = nn.Linear(2, 3, bias=False), nn.Linear(3, 2, bias=False)
    tall.weight.data = wide.weight.data.reshape(2, 3).clone()
    named = nn.ModuleDict({"weight": wide})
    assert len({model_hash(model) for model in (wide, tall, named)}) == 3


def test_attaching_and_dtype_leave_the_hash(bare):
    before = model_hash(bare)
    with VectorController(torch.ones(D), "hook_first").attached(bare, must_fire=False):
        assert model_hash(bare) == before
    assert model_hash(bare.double()) == before


@pytest.mark.parametrize("size", [0, 5, 100, -1])
def test_truncated_files_are_refused(tmp_path, size):
    file = save(VectorController(torch.ones(D), HOOK), tmp_path)
    file.write_bytes(file.read_bytes()[:size])
    for reading in (load, inspect):
        with pytest.raises(ValueError, match=r"intervention\.safetensors.*truncated"):
            reading(file)


def test_missing_and_foreign_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load(tmp_path / "none.safetensors")
    save_file({"v": torch.ones(3)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ValueError, match="has the format None"):
        load(tmp_path / "foreign.safetensors")


def metadata_of(file: Path) -> dict[str, str]:
    with safe_open(file, "pt") as content:
        return content.metadata()


def rewrite(file: Path, change) -> None:
    """Changes the header of a file as one who wants it to be read: the digest is right."""
    header = change(json.loads(metadata_of(file)["intervention"]))
    tensors, text = load_file(file), json.dumps(header)
    save_file(tensors, file, {"intervention": text, "sha256": content_hash(text, tensors)})


def test_tensors_that_differ_from_the_header_are_refused(tmp_path):
    file = save(VectorController(torch.ones(D), HOOK), tmp_path)
    metadata, v = metadata_of(file), load_file(file)["v"]
    for tensors, said, found in (
        ({"v": v[:4]}, r"v is float32 \[16\]", r"float32 \[4\]"),
        ({"v": v.double()}, r"v is float32 \[16\]", r"float64 \[16\]"),
        ({"w": v}, r"v is float32 \[16\]", "None"),
        ({"v": v, "w": v.clone()}, "w is None", r"float32 \[16\]"),
    ):
        save_file(tensors, file, metadata)
        with pytest.raises(ValueError, match=f"says {said}, the file holds {found}"):
            load(file)


def test_other_versions_are_refused(tmp_path):
    file = save(VectorController(torch.ones(D), HOOK), tmp_path)
    for version in (1, 3, None, "2"):
        rewrite(file, lambda header, version=version: {**header, "version": version})
        for reading in (load, inspect):
            with pytest.raises(ValueError, match=f"version {version!r} .*reads version 2"):
                reading(file)


def test_a_declared_header_of_any_size_allocates_nothing(tmp_path):
    file = tmp_path / "huge.safetensors"
    for declared in (2**24 + 1, 99_000_000, 2**40, 2**64 - 1):
        file.write_bytes(declared.to_bytes(8, "little") + b"{" * 100)
        tracemalloc.start()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for reading in (load, inspect):
            with pytest.raises(ValueError, match=rf"huge\.safetensors: .* header of {declared};"):
                reading(file)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10_000  # kB
        tracemalloc.stop()
    with file.open("wb") as sparse:  # as large as it says it is
        sparse.write((2**40).to_bytes(8, "little"))
        sparse.truncate(2**40 + 16)
    with pytest.raises(ValueError, match=r"huge\.safetensors: .* a header of 1099511627776;"):
        inspect(file)


@pytest.mark.parametrize("decoder", [HypernetworkDecoder(5, 8, D, 4), LinearDecoder(5, D)])
def test_sizes_that_a_header_claims_allocate_nothing(tmp_path, decoder):
    file = save(decoder, tmp_path)
    rewrite(file, lambda header: {**header, "config": {**header["config"], "n_z": 2_000_000}})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=r"(?s)intervention\.safetensors.*size mismatch"):
        load(file)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000  # kB


def test_a_card_beyond_the_limit_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="shorten the card"):
        save(VectorController(torch.ones(D), HOOK), tmp_path, card={"x": "x" * HEADER_LIMIT})
    assert not list(tmp_path.iterdir())


def test_a_failed_save_keeps_the_old_file(tmp_path):
    file = save(VectorController(torch.ones(D), HOOK), tmp_path)
    with pytest.raises(TypeError, match="not JSON serializable"):
        save(VectorController(torch.zeros(D), HOOK), tmp_path, card={"x": nn.Linear(1, 1)})
    assert torch.equal(load(file).state_dict()["v"], torch.ones(D))
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_that_was_there_is_replaced_and_what_was_loaded_stays(tmp_path):
    file = save(VectorController(torch.ones(D), HOOK), tmp_path)
    first, opened = load(file), file.open("rb")
    save(VectorController(torch.zeros(D), HOOK), tmp_path, card={"nll": 0.5})
    assert inspect(file).card == {"nll": 0.5} and not load(file).state_dict()["v"].any()
    assert torch.equal(first.state_dict()["v"], torch.ones(D))
    with opened:  # one who reads the old file while it is replaced reads it whole
        assert VectorController.__name__.encode() in opened.read()
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_places_that_take_no_file_are_named(tmp_path):
    (tmp_path / "taken").write_text("not a folder")
    (tmp_path / "folder.safetensors").mkdir()
    for place in ("taken", "taken/a.safetensors", "folder.safetensors"):
        with pytest.raises(OSError, match=place.split("/")[0]):
            save(VectorController(torch.ones(D), HOOK), tmp_path / place)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder.safetensors", "taken"]


def test_a_file_goes_to_any_device_from_any(tmp_path):
    bank, x = (
        ControllerBank.trainable(LowRankController, "ab", D, HOOK, rank=2, init=0.5),
        torch.randn(1, 3, D),
    )
    labels = torch.tensor([[0, -1, 1]])
    with elsewhere() as device, torch.no_grad():
        here = save(bank.labelled(labels), tmp_path / "here")
        there = save(load(here, device=device), tmp_path / "there")
        found = load(there, device=device)(x.to(device))
        assert found.device == device
    files = load_file(here), load_file(there)
    assert all(torch.equal(tensor, files[1][name]) for name, tensor in files[0].items())
    assert inspect(here).to_json() == inspect(there).to_json()
    torch.testing.assert_close(found.cpu(), bank.labelled(labels)(x).detach())


class Unknown(VectorController):
    """A kind that files know nothing of."""


def test_unknown_kinds_are_refused(tmp_path):
    with pytest.raises(ValueError, match="a Unknown cannot be saved; those that can: FullCon"):
        save(Unknown(torch.ones(D), HOOK), tmp_path)
    assert issubclass(Unknown, Controller)
