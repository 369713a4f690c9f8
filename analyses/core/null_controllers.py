"""Controllers that write in random directions: what steering is held against.

    U' = Q U        Q a random rotation for each controller

changes the stream by exactly as much as U at every step.
"""

from __future__ import annotations

import torch

from irl_lens.hooks import (
    Controller,
    ControllerBank,
    FullController,
    LowRankController,
    VectorController,
)

WRITTEN: dict[type[Controller], str] = {
    LowRankController: "B",
    FullController: "U",
    VectorController: "v",
}
"""The tensor of each kind of controller whose columns are written."""


def rotated(bank: ControllerBank, seed: int = 0) -> ControllerBank:
    """Returns controllers that change the stream by as much, in random directions."""
    stack, generator = bank.stack, torch.Generator().manual_seed(seed)
    square = torch.randn(len(bank), stack.d_model, stack.d_model, generator=generator)
    tensors = {name: tensor.detach() for name, tensor in stack.tensors().items()}
    written = WRITTEN[type(stack)]
    rotations = torch.linalg.qr(square).Q.to(tensors[written].device)
    if isinstance(stack, VectorController):
        tensors[written] = (rotations @ tensors[written][..., None])[..., 0]
    else:
        tensors[written] = rotations @ tensors[written]
    return ControllerBank(bank.names, type(stack)(**tensors, hook_name=bank.hook_name))
