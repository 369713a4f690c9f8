"""Do controllers read, or write, what a probe reads? Directions against directions.

    U_g = sum_k s_k w_k r_k^T                       the controller of label g
    p_c = (W_c - mean_c' W_c') / |..|               the probe's direction of class c

    reads   |diag(s) R p_c| / |s|      rms cosine of p_c with the right singular vectors r_k,
                                       weighted by s_k^2; 1 if U_g reads p_c and nothing else
    writes  the same of the left ones, w_k
    pushes  mean over steps of cos(U_g e_t, p_c)    signed: towards the probe's class or away

at the layer that the controller acts on (arXiv 2512.20605, Fig. 3 and 4, side by side). The
null is a random direction in the place of p_c. As both live in a stream that has few large
directions, two more controls say whether more is shared than a stream: probes trained on
shuffled labels, and labels exchanged (is a controller nearer to its own class than to others?).
Intervals of reads and writes leave out one group of episodes after another when the probe is
fitted (jackknife); those of pushes are over episodes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from jaxtyping import Float
from scipy import stats
from torch.nn import functional as F

from irl_lens.analyses.belief.direction_overlap import (
    GROUPS,
    Fitting,
    Pushed,
    Table,
    groups_of,
    jackknife,
    overlaps,
    random_pvalue,
)
from irl_lens.analyses.belief.probe_directions_figure import draw
from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.label_controllers import LabelControllers, Source
from irl_lens.analyses.core.labels import by_token
from irl_lens.analyses.core.linear_probe import stream_of_steps
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.options import Count, Seed
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.stats.estimates import Estimate
from irl_lens.analyses.stats.significance import exchange_pvalues
from irl_lens.arrays import NDArray
from irl_lens.hooks import ControllerBank

ALPHA = 0.05
SIDES = ("reads", "writes", "pushes")
KINDS = {"controllers": "supervised controllers", "codes": "controllers of codes"}


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
        layer: Output of the block that they act on and the probe reads.
        alignments: Reads, writes and pushes.
        singular: Singular values of each controller.
        cosines: |cos| of every singular vector with every class: reads, then writes.
        width: Of the stream.
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


@dataclass(frozen=True)
class ProbeDirections(Result):
    """See the module.

    Attributes:
        source: Where the controllers come from.
        names: Of the labels.
        layers: Those that have controllers.
    """

    source: str
    names: tuple[str, ...]
    layers: tuple[LayerDirections, ...]

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a layer, side, controller and class."""
        return pd.DataFrame(
            [
                {"layer": found.layer, "side": a.side, "controller": g, "probe": c}
                | Estimate(*a.value[:, i, j].tolist()).columns("value")
                | {"p_adjusted": a.p[i, j], "random": a.random, "exchange_p": a.exchange}
                for found in self.layers
                for a in found.alignments
                for i, g in enumerate(self.names)
                for j, c in enumerate(self.names)
            ]
        )

    def singular_vectors(self) -> pd.DataFrame:
        """Returns one row a singular vector and class; p is exact, and for one cosine alone."""
        rows = [
            {"layer": f.layer, "side": SIDES[side], "controller": g, "number": k, "probe": c}
            | {"singular_value": f.singular[i, k], "cosine": f.cosines[side, i, k, j]}
            | {"p": p[side, i, k, j]}
            for f in self.layers
            for p in [random_pvalue(f.cosines, f.width)]
            for side in (0, 1)
            for i, g in enumerate(self.names)
            for k in range(f.singular.shape[1])
            for j, c in enumerate(self.names)
        ]
        return pd.DataFrame(rows)

    def figure(self) -> go.Figure:
        """Draws tables of all layers and sides, and singular vectors one by one."""
        return draw(self, KINDS[self.source])

    def caption(self) -> str:
        """Says of each side what is shared, and whether more than the nulls have."""
        said = " ".join(self._sentence(side, p) for side, p in enumerate(self._exchanges()))
        return (
            f"Probe directions against {KINDS[self.source]} of the same layer. {said} "
            "Adjusted for the three (Westfall and Young). Stars in the figure: p < 0.05 against "
            "random directions, adjusted for all cells of a table (Benjamini and Hochberg). A "
            "shared direction does not show that the model uses it."
        )

    def claims(self) -> tuple[Claim, ...]:
        """One a side: a controller's own class against others, by exchange."""
        claims, chances = [], self._exchanges()
        for side, name in enumerate(SIDES):
            own = float(np.mean([found.alignments[side].own for found in self.layers]))
            other = float(np.mean([found.alignments[side].other for found in self.layers]))
            sentence = (
                f"{KINDS[self.source].capitalize()}: the cosine of what each {name} with the "
                f"probe's direction of its own class is {own:.3f}, of others {other:.3f}."
            )
            claims.append(Claim(sentence, own - other, chances[side]))
        return tuple(claims)

    def _exchanges(self) -> list[float]:
        """p of own classes being nearer than others, in each side's mean table of all layers."""
        values = [[table.value[0] for table in found.alignments] for found in self.layers]
        return exchange_pvalues(np.mean(values, axis=0)).tolist()

    def _sentence(self, side: int, p: float) -> str:
        tables = [found.alignments[side] for found in self.layers]
        best = max(range(len(tables)), key=lambda i: tables[i].own)
        a = tables[best]
        beyond = int((np.diagonal(a.p) < ALPHA).sum())
        nearer = "nearer to its own class" if p < ALPHA else "not reliably nearer to its own class"
        return (
            f"{a.side.capitalize()}, most at layer {self.layers[best].layer}: own class "
            f"{a.own:.3f}, others {a.other:.3f}, random directions {a.random:.3f}, shuffled "
            f"labels {a.shuffled:.3f}; beyond random for {beyond} of {len(self.names)} "
            f"controllers. Over all layers a controller is {nearer} than to others (p = {p:.3g} "
            "by exchange)."
        )


def probe_directions(
    loaded: LoadedRun,
    source: Source = "controllers",
    episodes: Count = 512,
    iterations: Count = 60,
    draws: Count = 999,
    seed: Seed = 0,
) -> ProbeDirections:
    """Holds probes against the controllers of the same layer.

    Args:
        loaded: The run's parts.
        source: Supervised controllers, or those of codes.
        episodes: Most demonstrations to fit probes on, and to push in.
        iterations: Most L-BFGS iterations a probe.
        draws: Random directions.
        seed: Of these, and of the shuffling.
    """
    controllers = LabelControllers.of(loaded, source)
    base, fit = controllers.loaded.base, controllers.loaded.fit.rows(slice(episodes))
    test = controllers.loaded.test.trajectories.rows(slice(episodes))
    labels = torch.from_numpy(by_token(fit, controllers.label))
    streams, groups = stream_of_steps(base, fit), groups_of(fit)
    layers = []
    for layer, bank in controllers.banks.items():
        fitting = Fitting(streams[layer], labels, groups, len(bank), iterations)
        pushed = Pushed.of(base, bank, layer, test)
        layers.append(layer_directions(layer, bank, fitting, pushed, draws, seed))
    names = next(iter(controllers.banks.values())).names
    return ProbeDirections(source, names, tuple(layers))


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
        layer: Which.
        bank: The controllers.
        fitting: What the probe is fitted on.
        pushed: What the controllers do to other demonstrations.
        draws: Random directions.
        seed: Of these, and of the shuffling.
    """
    spectrum, own = bank.stack.spectrum, fitting.directions()
    dealt = fitting.directions(shuffled=seed)
    left_out = torch.stack([fitting.directions(without=g) for g in range(GROUPS)])
    random = torch.randn(draws, own.shape[1], generator=torch.Generator().manual_seed(seed))
    random = F.normalize(random, dim=1)
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
    singular = spectrum.values.detach().double().numpy()
    cosines = torch.stack([(v @ own.T).abs() for v in (spectrum.reads, spectrum.writes)])
    return LayerDirections(
        layer,
        (found[0], found[1], found[2]),
        singular,
        cosines.detach().double().numpy(),
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
