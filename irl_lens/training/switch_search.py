"""Switches that segments begin at, for codes to be learned of: known beforehand, or searched for.

A :class:`Switches` tells of a batch where segments begin, and where the gate is to learn that
they do. :class:`DiscoveredSwitches` takes both from a metacontroller that discovery has trained.
:class:`SearchedSwitches` starts from where the base is surprised, and from a part of training on
searches among the peaks of the gate as it is by then (:mod:`irl_lens.training.segmentation`).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from irl_lens.config.schema import CodesConfig
from irl_lens.models.fast import FastPath
from irl_lens.models.metacontroller import Metacontroller
from irl_lens.models.segments import SegmentMetacontroller
from irl_lens.training.batches import Batch
from irl_lens.training.discovery import steered
from irl_lens.training.segmentation import around, following, peaks, segmented

Marks = Bool[Tensor, "batch steps"]
Logits = Float[Tensor, "batch steps"]
Streams = dict[int, Float[Tensor, "batch steps d_model"]]
SURPRISING = 0.05
"""Share of steps of a batch that surprise the base enough to count."""
EXPECTED = 0.05
"""Probability of a switch that a peak of the gate has at least, to be a candidate."""
CANDIDATE = 0.05
AHEAD = 6
"""Candidates after a step that its segment may end at."""
SEARCH = 0.3
"""Part of training after which it is searched: until then codes explain nothing."""


class Switches(Protocol):
    """Where segments begin."""

    layers: tuple[int, ...]
    """Layers whose streams are read."""
    result: dict[str, float]
    """What is to be known of them once training is over."""

    def marks(
        self, batch: Batch, streams: Streams, logits: Logits, fraction: float
    ) -> tuple[Marks, Marks]:
        """Where segments begin, and what the gate is to learn, at a fraction of training."""
        ...


class DiscoveredSwitches:
    """The switches of a metacontroller, whose gates count as open from a threshold on.

    Args:
        meta: Frozen.
        threshold: In [0, 1].
    """

    def __init__(self, meta: Metacontroller, threshold: float) -> None:
        self.meta, self.threshold, self.layers = meta, threshold, (meta.layer,)
        self.result = {"threshold": threshold}

    @torch.no_grad()
    def marks(
        self, batch: Batch, streams: Streams, logits: Logits, fraction: float
    ) -> tuple[Marks, Marks]:
        """The same, both."""
        opened = self.meta(streams[self.meta.layer], batch.mask).beta >= self.threshold
        return opened, opened


class SearchedSwitches:
    """Switches searched for with the codes that are being trained.

    Args:
        config: What a segment costs, and what is imitated.
        base: The frozen base.
        meta: What is trained.
    """

    def __init__(self, config: CodesConfig, base: FastPath, meta: SegmentMetacontroller) -> None:
        self.config, self.base, self.meta, self.layers = config, base, meta, (meta.layer,)
        self.result = {}

    @torch.no_grad()
    def marks(
        self, batch: Batch, streams: Streams, logits: Logits, fraction: float
    ) -> tuple[Marks, Marks]:
        """The gate's peaks and the base's surprise at first, then what is found."""
        stream, mask = streams[self.meta.layer], batch.mask.cpu().numpy()
        beta = torch.sigmoid(logits).cpu().numpy()
        if fraction < SEARCH:
            found, wanted = (
                peaks(beta, mask, self.config.reach, EXPECTED),
                self._surprises(batch, stream, mask),
            )
        else:
            found = wanted = self._search(batch, stream, mask, beta)
        device = batch.mask.device
        return torch.from_numpy(found).to(device), torch.from_numpy(wanted).to(device)

    def _surprises(self, batch: Batch, stream: Tensor, mask: np.ndarray) -> np.ndarray:
        nll = batch.step_nll(self.base, stream, self.meta.layer, self.config.targets).cpu().numpy()
        least = np.quantile(nll[mask], 1 - SURPRISING)
        return peaks(nll, mask, self.config.reach, float(least))

    def _search(
        self, batch: Batch, stream: Tensor, mask: np.ndarray, beta: np.ndarray
    ) -> np.ndarray:
        candidates = peaks(beta, mask, self.config.reach, CANDIDATE)
        expected = np.clip(around(np.where(mask, beta, 0), self.config.reach - 1), 0.01, 0.95)
        prices = self.config.price - np.log(expected / (1 - expected))
        means = self.meta.encoded(stream)[0]
        ends = torch.from_numpy(following(candidates, mask, AHEAD)).to(stream.device)
        costs = []
        for k in range(AHEAD):
            codes = means.gather(1, ends[:, :, k, None].expand_as(means))
            residual = steered(self.meta, self.base, batch, stream, codes)
            costs.append(batch.step_nll(self.base, residual, self.meta.layer, self.config.targets))
        return segmented(candidates, mask, torch.stack(costs, -1).cpu().numpy(), prices)
