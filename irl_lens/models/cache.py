"""The key-value cache of cached decoding."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor


class KVCache:
    """Keys and values of the steps seen so far, in buffers allocated once.

    Steps come first, so that a decoding step writes and reads memory in order, and memory
    beyond the longest sequence is never touched.

    Args:
        layers: Number of blocks.
        rows: Number of sequences.
        heads: Attention heads.
        steps: Most steps the cache can hold.
        d_head: Width of a head.
        device: Where it lies.
    """

    def __init__(
        self,
        layers: int,
        rows: int,
        heads: int,
        steps: int,
        d_head: int,
        device: torch.device | str = "cpu",
    ) -> None:
        self.keys = torch.empty(layers, steps, rows, heads, d_head, device=device)
        self.values = torch.empty_like(self.keys)
        self.length = 0

    @property
    def steps(self) -> int:
        """Most steps the cache can hold."""
        return self.keys.shape[1]

    def keep(self, index: Int[Tensor, " rows"]) -> None:
        """Keeps the rows ``index`` selects and drops the others."""
        # Only what moves is copied: with gaps filled from the end, that is next to nothing.
        moved = (index != torch.arange(len(index), device=index.device)).nonzero()[:, 0]
        for buffer in (self.keys, self.values):
            written = buffer[:, : self.length]
            written[:, :, moved] = written[:, :, index[moved]]
        self.keys, self.values = (b[:, :, : len(index)] for b in (self.keys, self.values))

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Writes new keys and values of one layer and returns all of that layer so far.

        All are ``[steps, rows, heads, d_head]``.
        """
        end = self.length + len(keys)
        if end > self.steps:
            raise ValueError(
                f"step {end} is beyond the cache's {self.steps}; allocate a longer cache"
            )
        self.keys[layer, self.length : end] = keys
        self.values[layer, self.length : end] = values
        return self.keys[layer, :end], self.values[layer, :end]
