"""Loops written by hand, out of autocast's reach: in float32 where products are in bfloat16."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.amp.autocast_mode import custom_bwd, custom_fwd


def forward_in_float32(forward: Callable) -> Callable:
    """Makes the forward of a ``torch.autograd.Function`` run without autocast, on any device."""

    def run(ctx: Any, first: Tensor, *rest: Tensor) -> Any:
        plain = custom_fwd(device_type=_kind(first), cast_inputs=torch.float32)(forward)
        return plain(ctx, first, *rest)

    return run


def backward_as_forward(backward: Callable) -> Callable:
    """Makes the backward of such a function run under the autocast that its forward met."""

    def run(ctx: Any, first: Tensor, *rest: Tensor) -> Any:
        return custom_bwd(device_type=_kind(first))(backward)(ctx, first, *rest)

    return run


def _kind(tensor: Tensor) -> str:
    kind = tensor.device.type
    return kind if torch.amp.is_autocast_available(kind) else "cpu"
