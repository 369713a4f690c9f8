"""Copies of a module that share its weights: what threads need to hook the same model at once."""

from __future__ import annotations

import copy
from itertools import chain
from typing import TypeVar

from torch import nn

M = TypeVar("M", bound=nn.Module)


def sharing(module: M) -> M:
    """Returns a copy of ``module`` with the very same parameters and buffers.

    Its hook points, and all else that a forward pass may change, are its own.
    """
    shared = {id(tensor): tensor for tensor in chain(module.parameters(), module.buffers())}
    return copy.deepcopy(module, shared)
