"""What the controllers of one layer read, write and push, along the directions of its probe.

See :mod:`irl_lens.analyses.belief.probe_directions`, which does so at every layer of a run.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy import stats
from torch.nn import functional as F

from irl_lens.analyses.belief.direction_overlap import (
    GROUPS,
    Fitting,
    Pushed,
    Table,
    jackknife,
    overlaps,
    random_pvalue,
)
from irl_lens.analyses.stats.significance import exchange_pvalues
from irl_lens.arrays import NDArray
from irl_lens.hooks import ControllerBank

ALPHA = 0.05


@dataclass(frozen=True)
class Alignment:
    """One side of all controllers of a layer against all classes of the probe.

    Attributes:
        side: ``"reads"``, ``"writes"`` or ``"pushes"``.
        value: Value, low and high of every controller (row) and class (column).
        p: Against a random direction in the place of the probe's, adjusted for all cells
            (Benjamini and Hochberg).
        random: Mean size of the same for random directions.
        shuffled: Mean size over the diagonal with probes trained on shuffled labels.
        exchange: p of the diagonal being larger than with labels exchanged, for this table alone.
    """

    side: str
    value: Float[NDArray[np.float64], "3 controllers classes"]
    p: Table
    random: float
    shuffled: float
    exchange: float

    @property
    def own(self) -> float:
        """Mean over the diagonal: each controller with its own class."""
        return float(np.diagonal(self.value[0]).mean())

    @property
    def other(self) -> float:
        """Mean off the diagonal."""
        return float(self.value[0][~np.eye(len(self.p), dtype=bool)].mean())


@dataclass(frozen=True)
class LayerDirections:
    """The controllers of one layer.

    Attributes:
        layer: Its output is what they act on and the probe reads.
        alignments: Reads, writes and pushes.
        singular: Singular values of each controller.
        cosines: |cos| of every singular vector with every class: reads, then writes.
        width: Width of the residual stream.
    """

    layer: int
    alignments: tuple[Alignment, Alignment, Alignment]
    singular: Float[NDArray[np.float64], "controllers k"]
    cosines: Float[NDArray[np.float64], "2 controllers k classes"]
    width: int

    @property
    def random_limit(self) -> float:
        """What |cos| with a random direction stays under with probability 0.95."""
        return float(np.sqrt(stats.beta.ppf(1 - ALPHA, 0.5, (self.width - 1) / 2)))


def layer_directions(
    layer: int,
    bank: ControllerBank,
    fitting: Fitting,
    pushed: Pushed,
    draws: int = 999,
    seed: int = 0,
) -> LayerDirections:
    """Holds the probe of one layer against its controllers.

    Args:
        layer: The layer.
        bank: The controllers.
        fitting: What the probe is fitted on.
        pushed: What the controllers do to other demonstrations.
        draws: Random directions.
        seed: Seed of the random directions, and of the shuffling.
    """
    spectrum, own = bank.stack.spectrum, fitting.directions()
    dealt = fitting.directions(shuffled=seed)
    left_out = torch.stack([fitting.directions(without=g) for g in range(GROUPS)])
    random = torch.randn(draws, own.shape[1], generator=torch.Generator().manual_seed(seed))
    random = F.normalize(random, dim=1).to(own.device)
    found = []
    for side, vectors in (("reads", spectrum.reads), ("writes", spectrum.writes)):
        values = [overlaps(spectrum.values, vectors, p) for p in (own, dealt, random)]
        parts = np.stack([overlaps(spectrum.values, vectors, p) for p in left_out])
        above = (values[2][:, :, None] >= values[0][:, None]).sum(axis=1)
        p = (1 + above) / (1 + draws)
        found.append(_alignment(side, jackknife(values[0], parts), p, values[2], values[1]))
    value, sizes = pushed.along(own), pushed.sizes()
    p = random_pvalue(value[0] / np.maximum(sizes, 1e-12)[:, None], own.shape[1])
    found.append(_alignment("pushes", value, p, pushed.along(random)[0], pushed.along(dealt)[0]))
    singular = spectrum.values.detach().double().cpu().numpy()
    cosines = torch.stack([(v @ own.T).abs() for v in (spectrum.reads, spectrum.writes)])
    return LayerDirections(
        layer,
        (found[0], found[1], found[2]),
        singular,
        cosines.detach().double().cpu().numpy(),
        own.shape[1],
    )


def _alignment(
    side: str,
    value: Float[NDArray[np.float64], "3 controllers classes"],
    p: Table,
    random: Float[NDArray[np.float64], "controllers m"],
    shuffled: Table,
) -> Alignment:
    adjusted = stats.false_discovery_control(p.ravel()).reshape(p.shape)
    return Alignment(
        side,
        value,
        adjusted,
        float(np.abs(random).mean()),
        float(np.abs(np.diagonal(shuffled)).mean()),
        float(exchange_pvalues(value[:1])[0]),
    )
