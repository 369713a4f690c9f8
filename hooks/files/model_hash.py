"""Hashes of weights, which tell one model, or one file's content, from another."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor, nn


def model_hash(model: nn.Module) -> str:
    """Returns the SHA-256 of a model's parameters: their names, shapes and float32 values.

    Hooks, buffers and the device leave it as it is; any change of a weight changes it.

    Args:
        model: any module.

    Examples:
        >>> import torch
        >>> model = nn.Linear(2, 1)
        >>> before = model_hash(model)
        >>> _ = torch.nn.init.zeros_(model.weight)
        >>> model_hash(model) == before
        False
    """
    digest = hashlib.sha256()
    for name, weight in sorted(model.named_parameters()):
        digest.update(f"{name}{tuple(weight.shape)}".encode())
        digest.update(weight.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def content_hash(text: str, tensors: Mapping[str, Tensor]) -> str:
    """Returns the SHA-256 of a text and of tensors: their names, types, shapes and bytes.

    Args:
        text: text that goes with them.
        tensors: contiguous, on the CPU.

    Examples:
        >>> import torch
        >>> content_hash("", {"a": torch.zeros(2)}) == content_hash("", {"b": torch.zeros(2)})
        False
    """
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
