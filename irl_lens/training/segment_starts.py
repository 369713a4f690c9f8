"""Where segments begin, for codes to be learned of them.

Either of two was trained before: a metacontroller that discovered them with codes of its own, or a
gate that expects surprise (:mod:`irl_lens.training.surprise`).

Of a metacontroller, gates above the threshold that best splits them in two count as open
(:func:`irl_lens.training.switches.two_levels`). How far a soft gate opens says little: what a
half-open gate lets through is made up for by a stronger decoder, so it is not 1/2 but the gap
between two levels that tells open from closed.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from irl_lens.data.demonstrations import Demonstrations
from irl_lens.models.fast import FastPath
from irl_lens.models.gates import CausalGate
from irl_lens.models.metacontroller import Metacontroller
from irl_lens.models.trace import encode
from irl_lens.runs.parts import load_discovered, load_gate
from irl_lens.runs.run import Run
from irl_lens.training.batches import Batch
from irl_lens.training.switches import peaks, two_levels

Marks = Bool[Tensor, "batch steps"]
Streams = dict[int, Float[Tensor, "batch steps d_model"]]
GATES_OF = 512
"""Demonstrations whose gates the threshold is found from."""


@runtime_checkable
class Switches(Protocol):
    """Where segments begin."""

    layer: int
    """Layer whose stream is read."""
    threshold: float
    """Probability of a switch from which one counts."""

    def marks(self, batch: Batch, streams: Streams) -> Marks:
        """Where segments begin."""
        ...


class DiscoveredSwitches:
    """The switches of a metacontroller, whose gates count as open from a threshold on.

    Args:
        meta: Frozen.
        threshold: In [0, 1].
    """

    def __init__(self, meta: Metacontroller, threshold: float) -> None:
        self.meta, self.threshold, self.layer = meta, threshold, meta.layer

    @torch.no_grad()
    def marks(self, batch: Batch, streams: Streams) -> Marks:
        """Where its gate is open."""
        return self.meta(streams[self.layer], batch.mask).beta >= self.threshold


class ExpectedSwitches:
    """The peaks of a gate.

    Args:
        gate: Frozen.
        threshold: Probability from which its peaks count.
        reach: Steps that switches are more than apart.
    """

    def __init__(self, gate: CausalGate, threshold: float, reach: int) -> None:
        self.gate, self.threshold, self.reach, self.layer = gate, threshold, reach, gate.layer

    @torch.no_grad()
    def marks(self, batch: Batch, streams: Streams) -> Marks:
        """Where it expects surprise most."""
        expected = torch.sigmoid(self.gate(streams[self.layer])).cpu().numpy()
        found = peaks(expected, batch.mask.cpu().numpy(), self.reach, self.threshold)
        return torch.from_numpy(found).to(batch.mask.device)


def switches_of(run: Run, base: FastPath) -> Switches:
    """What a run has found switches by.

    Raises:
        CheckpointError: If it is not trained yet.
    """
    if "switches" in run.chain:
        threshold = run.stage("switches").result["threshold"]
        return ExpectedSwitches(load_gate(run), threshold, run.preset.switches.reach)
    meta, epsilon = load_discovered(run), run.preset.codes.epsilon
    sample = Demonstrations(run.world, run.seed, "codes-threshold", GATES_OF, epsilon)[0]
    trace = encode(meta, base, sample)
    return DiscoveredSwitches(meta, two_levels(trace.beta[:, 1:][trace.mask[:, 1:]]))
