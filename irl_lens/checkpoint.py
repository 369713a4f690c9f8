"""Tensors on disk: safetensors, written whole or not at all.

A file is written under a temporary name in the same folder, flushed to the disk and
renamed, so that a crash, a kill or a full disk leaves the previous file as it was
(:mod:`irl_lens.targets`).
Nothing is pickled: loading a file cannot run code.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor
from torch.optim import Optimizer

from irl_lens.errors import UserError
from irl_lens.targets import destination, make_folder, remove_leftovers, temporary_of


class CheckpointError(UserError):
    """A checkpoint that is missing, damaged, or that belongs to something else."""


def write_bytes(path: Path | str, data: bytes) -> None:
    """Writes a file whole or not at all.

    Args:
        path: Where to, see :func:`irl_lens.targets.destination`; the folder is made when it is
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


def write_json(path: Path | str, value: Any) -> None:
    """Writes JSON whole or not at all.

    Raises:
        OSError: If it cannot be written; what was at ``path`` before is still there.
    """
    write_bytes(path, (json.dumps(value, indent=2) + "\n").encode())


def read_json(path: Path | str) -> Any:
    """Reads JSON.

    Raises:
        CheckpointError: If the file is missing or damaged.
    """
    try:
        return json.loads(Path(path).read_text())
    except FileNotFoundError:
        raise CheckpointError(f"there is no file {path}") from None
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged, not JSON: {error}") from error


def save_tensors(
    path: Path | str, tensors: Mapping[str, Tensor], meta: Mapping[str, str] | None = None
) -> None:
    """Writes named tensors as safetensors, whole or not at all.

    Args:
        path: Where to.
        tensors: Any shapes, types and devices; views and shared storage are copied.
        meta: Strings for the header.

    Raises:
        OSError: If it cannot be written; what was at ``path`` before is still there.
    """
    plain = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    write_bytes(path, to_bytes(plain, dict(meta) if meta else None))


def load_tensors(path: Path | str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Reads what :func:`save_tensors` wrote, onto the CPU.

    Returns:
        The tensors, and the strings of the header.

    Raises:
        CheckpointError: If the file is missing, truncated or no safetensors file.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no file {path}")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise CheckpointError(
            f"{path} ({path.stat().st_size} bytes) is truncated or damaged ({error}); "
            "delete it to start that stage afresh"
        ) from error


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
