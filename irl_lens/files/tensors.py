"""Tensors on disk: safetensors, written whole or not at all.

A file is written under a temporary name in the same folder, flushed to the disk and
renamed, so that a crash, a kill or a full disk leaves the previous file as it was
(:mod:`irl_lens.files.targets`).
Nothing is pickled: loading a file cannot run code.

The header of what :func:`save_tensors` writes has one entry, ``irl-lens``: JSON of the strings
that go with the tensors, and of the SHA-256 of those and of all tensors. One entry, as
safetensors writes several in any order, and equal content is to be equal bytes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor
from torch.optim import Optimizer

from irl_lens.errors import UserError
from irl_lens.files.targets import destination, make_folder, remove_leftovers, temporary_of
from irl_lens.hooks.files.json_text import to_json
from irl_lens.hooks.files.model_hash import content_hash

HEADER_KEY = "irl-lens"
"""The entry of the header."""


class CheckpointError(UserError):
    """A checkpoint that is missing, damaged, or that belongs to something else."""


def write_bytes(path: Path | str, data: bytes) -> None:
    """Writes a file whole or not at all.

    Args:
        path: Where to, see :func:`irl_lens.files.targets.destination`; the folder is made when it
        is
            missing.
        data: The content.

    Raises:
        UserError: If something is there that is no regular file.
        OSError: If it cannot be written; what was at ``path`` before is still there.
    """
    end = destination(path)
    make_folder(end)
    remove_leftovers(end)
    temporary = temporary_of(end)
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, end)
    except OSError as error:
        error.filename = str(path)  # a full disk names no file by itself
        raise
    finally:
        with suppress(OSError):  # after a rename it is gone, and a failure has been raised
            temporary.unlink()


def read_bytes(path: Path | str, remedy: str = "") -> bytes:
    """Reads a file.

    Args:
        path: Where from.
        remedy: What to do when that cannot be.

    Raises:
        CheckpointError: If it is missing, no regular file, or cannot be read.
    """
    path, then = Path(path), f"; {remedy}" * bool(remedy)
    try:
        if path.is_file():  # not a pipe, which would be waited for
            return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read, {error.strerror}{then}") from error
    raise CheckpointError(f"there is no file {path}{then}")


def pack_tensors(tensors: Mapping[str, Tensor]) -> bytes:
    """Returns named tensors as the content of a safetensors file.

    Args:
        tensors: Any shapes, types and devices; views and shared storage are copied.
    """
    return to_bytes(_plain(tensors))


def unpack_tensors(data: bytes) -> dict[str, Tensor]:
    """Undoes :func:`pack_tensors`, on the CPU.

    Raises:
        ValueError: If it is truncated or no such content.
    """
    try:
        return from_bytes(data)
    except (SafetensorError, KeyError, RuntimeError, TypeError) as error:
        raise ValueError(f"it is no safetensors file ({error})") from error


def save_tensors(
    path: Path | str, tensors: Mapping[str, Tensor], meta: Mapping[str, str] | None = None
) -> None:
    """Writes named tensors as safetensors, whole or not at all.

    Args:
        path: Where to.
        tensors: As of :func:`pack_tensors`.
        meta: Strings for the header.

    Raises:
        OSError: If it cannot be written; what was at ``path`` before is still there.
    """
    plain, meta = _plain(tensors), dict(meta or {})
    about = to_json({"meta": meta, "sha256": content_hash(to_json(meta), plain)})
    write_bytes(path, to_bytes(plain, {HEADER_KEY: about}))


def load_tensors(
    path: Path | str, remedy: str = "delete it to start that stage afresh"
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Reads what :func:`save_tensors` wrote, onto the CPU.

    Args:
        path: Where from.
        remedy: What to do when it is damaged.

    Returns:
        The tensors, and the strings of the header.

    Raises:
        CheckpointError: If the file is missing, or any bit of its content is not as it was.
    """
    data = read_bytes(path, remedy)
    try:
        tensors = unpack_tensors(data)
        about = _header(data)
        if content_hash(to_json(about["meta"]), tensors) != about["sha256"]:
            raise ValueError("its SHA-256 is another")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"{path} ({len(data)} bytes) is truncated or damaged: {error}; {remedy}"
        ) from error
    return tensors, about["meta"]


def _header(data: bytes) -> dict[str, Any]:
    """The entry of a header that holds tensors already found good."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size]).get("__metadata__", {})
    if HEADER_KEY not in header:
        raise ValueError("it has no SHA-256 of its content, as those of earlier versions")
    return json.loads(header[HEADER_KEY])


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }


def copy_weights(own: Mapping[str, Tensor], weights: Mapping[str, Tensor], source: str) -> None:
    """Copies weights into tensors of the same names, shapes and types, or rounded to bfloat16.

    Args:
        own: Where to.
        weights: What to copy.
        source: Where they are from, for messages.

    Raises:
        CheckpointError: A name is missing or unknown, a shape or a type differs; names the first.
    """
    for name in sorted(own.keys() ^ weights.keys()):
        where = source if name in own else "this model"
        raise CheckpointError(
            f"parameter {name!r} is missing from {where}; is it another preset's?"
        )
    for name, tensor in own.items():
        if tensor.shape != weights[name].shape:
            raise CheckpointError(
                f"parameter {name!r} has shape {tuple(weights[name].shape)} in {source}, "
                f"{tuple(tensor.shape)} in this model; build the model from the "
                "checkpoint's own configuration"
            )
        if weights[name].dtype not in (tensor.dtype, torch.bfloat16):
            raise CheckpointError(
                f"parameter {name!r} is {weights[name].dtype} in {source}, {tensor.dtype} in this "
                "model; is it another preset's?"
            )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(weights[name])


def rounded(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rounds matrices to bfloat16, to keep or ship at half the size; the rest stays as it is."""
    return {
        name: tensor.to(torch.bfloat16)
        if tensor.ndim > 1 and tensor.is_floating_point()
        else tensor
        for name, tensor in tensors.items()
    }


def join_parts(**parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Merges named groups of tensors into one flat mapping, keys ``"part/key"``."""
    return {f"{part}/{key}": value for part, group in parts.items() for key, value in group.items()}


def split_parts(tensors: Mapping[str, Tensor], *names: str) -> dict[str, dict[str, Tensor]]:
    """Undoes :func:`join_parts`.

    Args:
        tensors: Keys ``"part/key"``.
        names: The parts wanted; one without tensors comes back empty.

    Raises:
        CheckpointError: If there is a part beside these.
    """
    parts: dict[str, dict[str, Tensor]] = {name: {} for name in names}
    for name, value in tensors.items():
        part, _, key = name.partition("/")
        if part not in parts:
            raise CheckpointError(f"unexpected part {part!r} of a checkpoint; known: {names}")
        parts[part][key] = value
    return parts


def pack_optimizer(optimizer: Optimizer) -> dict[str, Tensor]:
    """An optimiser's state as flat tensors: moments, step counts and numeric options.

    Returns:
        ``"state/INDEX/NAME"`` for what is kept a parameter (parameters counted in the order
        of the groups) and ``"group/INDEX/NAME"`` for numbers such as the learning rate.
    """
    packed = optimizer.state_dict()
    flat: dict[str, Tensor] = {}
    for index, state in packed["state"].items():
        for name, value in state.items():
            flat[f"state/{index}/{name}"] = torch.as_tensor(value)
    for index, group in enumerate(packed["param_groups"]):
        for name, value in group.items():
            if name != "params" and _is_numeric(value):
                flat[f"group/{index}/{name}"] = _as_tensor(value)
    return flat


def unpack_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Restores what :func:`pack_optimizer` took, in an optimiser over the same parameters.

    Raises:
        CheckpointError: If the state is that of other parameters.
    """
    target = optimizer.state_dict()
    groups = target["param_groups"]
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        kind, index, name = key.split("/", 2)
        if kind == "state":
            _check_state(key, value, parameters, int(index))
            state.setdefault(int(index), {})[name] = value.clone()
        elif int(index) >= len(groups):
            raise CheckpointError(f"{key}: the optimiser has only {len(groups)} groups")
        else:
            groups[int(index)][name] = _as_value(value)
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def _is_numeric(value: Any) -> bool:
    items = value if isinstance(value, (tuple, list)) else (value,)
    return all(isinstance(item, (bool, int, float, Tensor)) for item in items)


def _as_tensor(value: Any) -> Tensor:
    # float64: a learning rate must come back to the bit.
    exact = isinstance(value, (float, tuple, list))
    return torch.as_tensor(value, dtype=torch.float64 if exact else None)


def _as_value(value: Tensor) -> Any:
    return tuple(value.tolist()) if value.ndim else value.item()


def _check_state(key: str, value: Tensor, parameters: list[Tensor], index: int) -> None:
    if index >= len(parameters):
        raise CheckpointError(f"{key}: the optimiser has only {len(parameters)} parameters")
    shape = parameters[index].shape
    if value.ndim and value.shape != shape:
        raise CheckpointError(f"{key} has shape {tuple(value.shape)}, its parameter {tuple(shape)}")
