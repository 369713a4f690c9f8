"""Which model this is: a hash of its weights."""

from __future__ import annotations

import hashlib

from torch import nn


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
