"""Keys and values that stay patched: later steps attend to them long after their own.

    K^l_t[h] <- K^l_t[h](clean),   V likewise          when step t is written into the cache

Cached decoding has hooks on the residual stream alone, which a patched key does not pass by: it
lies in the cache that roll-outs attend to. So it is the cache that takes the patch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from irl_lens.analyses.explorer.state import Spot
from irl_lens.analyses.patching.contrast import HOOKS
from irl_lens.models.cache import KVCache
from irl_lens.models.fast import FastPath

ATTENDED = ("k", "v")
"""The components that lie in the cache."""


@dataclass(frozen=True)
class Entry:
    """What a patch writes into the cache.

    Attributes:
        spot: The patch.
        value: The clean run's, of all heads.
    """

    spot: Spot
    value: Float[Tensor, "heads d_head"]

    def write(self, steps: Float[Tensor, "steps rows heads d_head"], first: int) -> None:
        """Writes it into new steps of the cache, if its own is among them."""
        at, head = self.spot.step - first, self.spot.head
        if 0 <= at < len(steps):
            heads = slice(None) if head is None else slice(head, head + 1)
            steps[at, :, heads] = self.value[heads]


class PatchedCache(KVCache):
    """A cache in which some keys and values are the clean run's.

    Args:
        sizes: Those of the cache: layers, rows, heads, steps, width of a head.
        device: Where it lies.
        entries: What is written into it.
    """

    def __init__(
        self,
        sizes: tuple[int, int, int, int, int],
        device: torch.device,
        entries: Sequence[Entry],
    ) -> None:
        super().__init__(*sizes, device)
        self.entries = entries

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Writes new keys and values of one layer, patched, and returns all of it so far."""
        for entry in self.entries:
            if entry.spot.layer == layer + 1:
                entry.write(keys if entry.spot.component == "k" else values, self.length)
        return super().extend(layer, keys, values)


class Attending(FastPath):
    """A base whose roll-outs attend to patched keys and values.

    Args:
        base: The base; its weights and hook points are shared.
        entries: What is patched.
    """

    def __init__(self, base: FastPath, entries: Sequence[Entry]) -> None:
        vars(self).update(vars(base))
        self.entries = entries

    def cache(self, rows: int, steps: int) -> KVCache:
        """Returns an empty cache that takes the patches."""
        cfg = self.model.hooked.cfg
        sizes = cfg.n_layers, rows, cfg.n_heads, steps, cfg.d_head
        return PatchedCache(sizes, self.device, self.entries)


def attending(base: FastPath, clean: Mapping[str, Tensor], spots: Sequence[Spot]) -> FastPath:
    """The base with the keys and values of some spots patched; itself if there is none.

    Args:
        base: The base.
        clean: Activations of the clean run by hook name.
        spots: Patches of any component.
    """
    entries = [
        Entry(spot, clean[f"blocks.{spot.layer - 1}.{HOOKS[spot.component]}"][0, spot.step])
        for spot in spots
        if spot.component in ATTENDED
    ]
    return Attending(base, entries) if entries else base
