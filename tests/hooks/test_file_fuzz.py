"""Files that were damaged or forged: equal bits, or a ValueError that names the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from irl_lens.hooks import Header, Part, inspect, load, save
from irl_lens.hooks.files.model_hash import content_hash

many = settings(
    deadline=None,
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def saved(kinds, tmp_path) -> dict[str, tuple[Part, Path]]:
    """What was saved, and where, of every kind."""
    parts = {name: build() for name, build in kinds.items()}
    return {
        name: (part, save(part, tmp_path / f"{name}.safetensors", base="ba5e", card={"nll": 0.5}))
        for name, part in parts.items()
    }


def one_of(saved) -> st.SearchStrategy[tuple[Part, Path]]:
    return st.sampled_from(sorted(saved)).map(lambda name: saved[name])


def equal_or_refused(part: Part, file: Path) -> None:
    try:
        loaded = load(file)
    except ValueError as error:
        assert str(file) in str(error)
    else:
        before, after = part.state_dict(), loaded.state_dict()
        assert before.keys() == after.keys()
        for name, tensor in before.items():
            assert tensor.dtype == after[name].dtype and tensor.shape == after[name].shape
            assert tensor.numpy().tobytes() == after[name].numpy().tobytes()
    try:
        assert isinstance(str(inspect(file)), str)
    except ValueError as error:
        assert str(file) in str(error)


@many
@given(data=st.data())
def test_truncated_flipped_and_extended_bytes(saved, data):
    part, file = data.draw(one_of(saved))
    content = bytearray(file.read_bytes())
    forged = file.with_name("forged.safetensors")
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content)))
        match data.draw(st.sampled_from(["cut", "flip", "extend", "insert", "repeat"])):
            case "cut":
                del content[at:]
            case "flip" if at < len(content):
                content[at] ^= 1 << data.draw(st.integers(0, 7))
            case "extend":
                content += data.draw(st.binary(min_size=1, max_size=20))
            case "insert":
                content[at:at] = data.draw(st.binary(min_size=1, max_size=20))
            case "repeat":
                content[at:at] = content[at : at + data.draw(st.integers(1, 50))]
    forged.write_bytes(content)
    equal_or_refused(part, forged)
    if content != file.read_bytes():  # not one changed bit goes by
        with pytest.raises(ValueError, match=r"forged\.safetensors"):
            load(forged)


@many
@given(data=st.data())
def test_a_single_flipped_bit_is_found(saved, data):
    _, file = data.draw(one_of(saved))
    content = bytearray(file.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    forged = file.with_name("forged.safetensors")
    forged.write_bytes(content)
    with pytest.raises(ValueError, match=r"forged\.safetensors"):
        load(forged)


def test_a_bit_that_a_bool_does_not_need_is_found(saved):
    _, file = saved["sequence of a trace"]
    with safe_open(file, framework="pt") as content:
        names = [n for n in content.keys() if content.get_tensor(n).dtype == torch.bool]  # noqa: SIM118
    assert names
    tensors = load_file(file)
    for name in names:
        tensors[name].view(torch.uint8)[..., -1] ^= 2
    with safe_open(file, framework="pt") as content:
        metadata = content.metadata()
    forged = file.with_name("forged.safetensors")
    save_file(tensors, forged, metadata)
    with pytest.raises(ValueError, match="not what was saved"):
        load(forged)


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def paths(value, path=()):
    """Every place inside a JSON value."""
    yield path
    inside = dict(enumerate(value)) if isinstance(value, list) else value
    for key, inner in inside.items() if isinstance(inside, dict) else ():
        yield from paths(inner, (*path, key))


def forge(file: Path, header) -> Path:
    """Writes the file's tensors under another header, with the digest that belongs to it."""
    forged, tensors = file.with_name("forged.safetensors"), load_file(file)
    text = json.dumps(header)
    save_file(tensors, forged, {"intervention": text, "sha256": content_hash(text, tensors)})
    return forged


@many
@given(data=st.data())
def test_forged_header_fields(saved, data):
    part, file = data.draw(one_of(saved))
    header = json.loads(inspect(file).to_json())
    places = [path for path in paths(header) if path]
    *way, last = data.draw(st.sampled_from(places))
    inside = header
    for key in way:
        inside = inside[key]
    match data.draw(st.sampled_from(["replace", "drop", "add"])):
        case "replace":
            inside[last] = data.draw(anything)
        case "drop":
            del inside[last]
        case "add" if isinstance(inside, dict):
            inside[data.draw(st.text(max_size=5))] = data.draw(anything)
    equal_or_refused(part, forge(file, header))


@pytest.mark.parametrize(
    "lie",
    [{"hook_name": "hook_embed"}, {"d_model": 17}, {"rank": None}, {"config": {"hook_name": 5}}],
)
def test_a_header_that_describes_another_part_is_refused(saved, lie):
    _, file = saved["low rank"]
    header = {**json.loads(inspect(file).to_json()), **lie}
    with pytest.raises(ValueError, match=r"forged\.safetensors: the header is not that of"):
        load(forge(file, header))


@many
@given(header=anything)
def test_headers_that_are_none(saved, header):
    forged = forge(saved["vector"][1], header)
    for reading in (load, inspect):
        with pytest.raises(ValueError, match=r"forged\.safetensors"):
            reading(forged)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "9" * 10_000, "nan", ""])
def test_json_that_is_hard_to_read(saved, text):
    _, file = saved["vector"]
    forged, tensors = file.with_name("forged.safetensors"), load_file(file)
    save_file(tensors, forged, {"intervention": text, "sha256": content_hash(text, tensors)})
    for reading in (load, inspect):
        with pytest.raises(ValueError, match=r"forged\.safetensors"):
            reading(forged)


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool, torch.float64, torch.bfloat16])
def test_a_consistent_file_of_another_dtype(kinds, tmp_path, dtype):
    """Header and digest agree: either such a part can be, or it is refused."""
    file = save(kinds["low rank"](), tmp_path / "saved.safetensors")
    header = json.loads(inspect(file).to_json())
    tensors = {name: tensor.to(dtype) for name, tensor in load_file(file).items()}
    for about in header["tensors"].values():
        about["dtype"] = str(dtype).removeprefix("torch.")
    text = json.dumps(header)
    save_file(tensors, file, {"intervention": text, "sha256": content_hash(text, tensors)})
    if dtype.is_floating_point:
        assert torch.equal(load(file).state_dict()["A"], tensors["A"])
    else:
        with pytest.raises(ValueError, match=r"saved\.safetensors.*floating point"):
            load(file)


def test_headers_come_back_equal(kinds):
    for build in kinds.values():
        header = Header.of(build(), "ba5e", "world", {"steps": 3}, {"nll": 0.1})
        again = Header.from_json(header.to_json())
        assert again.to_json() == header.to_json()
