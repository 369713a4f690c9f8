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

from irl_lens.analyses.belief.direction_overlap import (
    Fitting,
    Pushed,
    groups_of,
    random_pvalue,
)
from irl_lens.analyses.belief.label_probes import by_token, stream_of_steps
from irl_lens.analyses.belief.layer_directions import ALPHA, LayerDirections, layer_directions
from irl_lens.analyses.belief.probe_directions_figure import draw
from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.label_controllers import LabelControllers, Source
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.report.headline_results import LoadedRun
from irl_lens.analyses.stats.estimates import Estimate
from irl_lens.analyses.stats.significance import exchange_pvalues

SIDES = ("reads", "writes", "pushes")
CONTROLLERS = {"controllers": "supervised controllers", "codes": "controllers of codes"}


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
        return draw(self.layers, self.names, CONTROLLERS[self.source])

    def caption(self) -> str:
        """Says of each side what is shared, and whether more than the nulls have."""
        said = " ".join(self._sentence(side, p) for side, p in enumerate(self._exchanges()))
        return (
            f"Probe directions against {CONTROLLERS[self.source]} of the same layer. {said} "
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
                f"{CONTROLLERS[self.source].capitalize()}: the cosine of what each {name} with the "
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
    bench: LoadedRun,
    source: Source = "controllers",
    episodes: int = 512,
    iterations: int = 60,
    draws: int = 999,
    seed: int = 0,
) -> ProbeDirections:
    """Holds probes against the controllers of the same layer.

    Args:
        bench: The run's parts.
        source: Supervised controllers, or those of codes.
        episodes: Most demonstrations to fit probes on, and to push in.
        iterations: Most L-BFGS iterations a probe.
        draws: Random directions.
        seed: Of these, and of the shuffling.
    """
    steerers = LabelControllers.of(bench, source)
    base, fit = steerers.bench.base, steerers.bench.fit.rows(slice(episodes))
    test = steerers.bench.test.trajectories.rows(slice(episodes))
    labels = torch.from_numpy(by_token(fit, steerers.label))
    streams, groups = stream_of_steps(base, fit), groups_of(fit)
    layers = []
    for layer, bank in steerers.banks.items():
        fitting = Fitting(streams[layer], labels, groups, len(bank), iterations)
        pushed = Pushed.of(base, bank, layer, test)
        layers.append(layer_directions(layer, bank, fitting, pushed, draws, seed))
    names = next(iter(steerers.banks.values())).names
    return ProbeDirections(source, names, tuple(layers))
