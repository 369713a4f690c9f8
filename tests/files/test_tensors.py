from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.optim import AdamW, Muon, Optimizer

from irl_lens.files.json_files import read_json, write_json
from irl_lens.files.tensors import (
    CheckpointError,
    join_parts,
    load_tensors,
    pack_optimizer,
    save_tensors,
    split_parts,
    unpack_optimizer,
)


@contextmanager
def nearly_full_disk(limit: int) -> Iterator[None]:
    """Lets the system refuse files over ``limit`` bytes, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_tensors_come_back_with_type_shape_bits_and_header(tmp_path: Path) -> None:
    base = torch.randn(4, 3)
    saved = {
        "float": base,
        "transposed": base.T,
        "same storage": base,
        "scalar": torch.tensor(3.5, dtype=torch.float64),
        "half": torch.randn(2).bfloat16(),
        "flags": torch.tensor([True, False]),
        "count": torch.tensor(7),
        "parameter": nn.Parameter(torch.randn(2)),
    }
    save_tensors(tmp_path / "deep" / "file.safetensors", saved, {"step": "12"})
    loaded, meta = load_tensors(tmp_path / "deep" / "file.safetensors")
    assert meta == {"step": "12"}
    assert loaded.keys() == saved.keys()
    for name, tensor in saved.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)


def test_no_tensors_and_no_header_are_a_file_too(tmp_path: Path) -> None:
    save_tensors(tmp_path / "empty.safetensors", {})
    assert load_tensors(tmp_path / "empty.safetensors") == ({}, {})


@pytest.mark.parametrize("kept", [0, 4, 40, 150, 300])
def test_truncated_file_is_named(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "file.safetensors"
    save_tensors(path, {"weight": torch.zeros(64)})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match=rf"file\.safetensors \({kept} bytes\).*delete it"):
        load_tensors(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"there is no file .*nothing"):
        load_tensors(tmp_path / "nothing")


def test_full_disk_leaves_the_previous_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    save_tensors(path, {"weight": torch.ones(8)}, {"step": "1"})
    with nearly_full_disk(1024), pytest.raises(OSError) as caught:
        save_tensors(path, {"weight": torch.zeros(100_000)}, {"step": "2"})
    assert caught.value.filename == str(path)
    tensors, meta = load_tensors(path)
    assert torch.equal(tensors["weight"], torch.ones(8)) and meta == {"step": "1"}
    assert list(tmp_path.iterdir()) == [path]


def test_json_round_trip_and_damage(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"a": [1, 2.5, None]})
    assert read_json(path, "write it again") == {"a": [1, 2.5, None]}
    path.write_text('{"a": [1')
    with pytest.raises(CheckpointError, match=r"file\.json is damaged.*write it again"):
        read_json(path, "write it again")


def test_parts_split_as_they_were_joined() -> None:
    model, noise = {"a.b/c": torch.ones(1)}, {"x": torch.zeros(2)}
    joined = join_parts(model=model, noise=noise)
    assert joined.keys() == {"model/a.b/c", "noise/x"}
    assert split_parts(joined, "model", "noise", "none") == {
        "model": model,
        "noise": noise,
        "none": {},
    }
    with pytest.raises(CheckpointError, match="unexpected part 'noise'"):
        split_parts(joined, "model")


def _model() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(4, 3, bias=False)


def _optimizer(kind: str, model: nn.Module) -> Optimizer:
    if kind == "muon":
        return Muon(model.parameters(), lr=0.02, adjust_lr_fn="match_rms_adamw")
    return AdamW(model.parameters(), lr=0.02, betas=(0.8, 0.95), amsgrad=True)


def _learn(model: nn.Module, optimizer: Optimizer, steps: range) -> Tensor:
    for i in steps:
        for group in optimizer.param_groups:
            group["lr"] *= 0.9  # a schedule that lives in the optimiser must survive as well
        inputs = torch.randn(5, 4, generator=torch.Generator().manual_seed(i))
        optimizer.zero_grad()
        model(inputs).square().sum().backward()
        optimizer.step()
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_optimizer_continues_bit_for_bit_from_a_file(tmp_path: Path, kind: str) -> None:
    straight = _model()
    expected = _learn(straight, _optimizer(kind, straight), range(6))

    first = _model()
    optimizer = _optimizer(kind, first)
    _learn(first, optimizer, range(3))
    parts = join_parts(model=first.state_dict(), optimizer=pack_optimizer(optimizer))
    save_tensors(tmp_path / "state.safetensors", parts)

    second = _model()
    continued = _optimizer(kind, second)
    loaded = split_parts(load_tensors(tmp_path / "state.safetensors")[0], "model", "optimizer")
    second.load_state_dict(loaded["model"])
    unpack_optimizer(continued, loaded["optimizer"])
    assert continued.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"]
    assert torch.equal(_learn(second, continued, range(3, 6)), expected)


def test_state_of_other_parameters_is_refused() -> None:
    model = _model()
    optimizer = AdamW(model.parameters())
    _learn(model, optimizer, range(1))
    wider = AdamW(nn.Linear(5, 3, bias=False).parameters())
    with pytest.raises(CheckpointError, match=r"shape \(3, 4\), its parameter \(3, 5\)"):
        unpack_optimizer(wider, pack_optimizer(optimizer))
    two = nn.Linear(4, 3)
    both = AdamW(two.parameters())
    _learn(two, both, range(1))
    with pytest.raises(CheckpointError, match="only 1 parameters"):
        unpack_optimizer(optimizer, pack_optimizer(both))
