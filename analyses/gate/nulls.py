"""What the gate's F1 is to be held against: detectors of boundaries that discovered nothing.

    shifted    the gate's own switches, moved round each episode
    untrained  a gate as it is before training: open where beta_t >= c
    event      open where one of some events happens that the observations show
    probe      open where sigmoid(w e_t + b) >= c, e_t at the output of block l, 0 the embedding

All are scored on the episodes that the gate is scored on, by the same count and with the same
tolerance. What they have of the truth, the gate has not: w and b are fitted to true boundaries, and
thresholds c, the layer and the events are those of the largest F1, all on other episodes. Of events
it is the first few in the order of their precision, which no other choice of events can beat where
no two happen at once and boundaries are exact. So what they reach is not what chance would give: it
says how plainly boundaries stand in what is seen. A gate that does no better finds nothing that was
hidden; that without labels it picks out this event, of all that happens, is what it has found.
(None of these is in arXiv 2512.20605.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from jaxtyping import Bool, Float

from irl_lens.analyses.core.demonstrations import per_step, pieces
from irl_lens.analyses.core.linear_probe import (
    LinearProbe,
    fit_probes,
    layer_streams,
    stream_of_steps,
)
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.options import Count, Seed
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.figures.intervals import with_intervals
from irl_lens.analyses.figures.style import GREY, MAIN, styled
from irl_lens.analyses.gate.boundary_f1 import f1_of, score_gate
from irl_lens.analyses.gate.event_scores import Marks
from irl_lens.analyses.stats.estimates import Estimate
from irl_lens.arrays import NDArray
from irl_lens.envs.contracts import Eventful
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import NotOffered
from irl_lens.models.fast import FastPath
from irl_lens.runs.parts import untrained_metacontroller

THRESHOLDS = np.linspace(0.05, 0.95, 19)
"""Thresholds that are tried."""
Values = Float[NDArray[np.floating], "n steps"]
Events = Bool[NDArray[np.bool_], "n steps events"]
Split = tuple[Trajectories, Trajectories]


@dataclass(frozen=True)
class GateNulls(Result):
    """F1 of the gate and of its nulls.

    Attributes:
        gate: The gate itself.
        shifted: Its switches shifted round; mean and central 95 % of the draws.
        untrained: Gates before training; mean and range over initialisations.
        event: The best rule; None where the world tells of no events.
        rule: The events of that rule.
        probes: One a layer, the embedding first.
        layer: The layer whose probe did best where it was fitted.
    """

    gate: Estimate
    shifted: Estimate
    untrained: Estimate
    event: Estimate | None
    rule: tuple[str, ...]
    probes: tuple[Estimate, ...]
    layer: int

    @property
    def scores(self) -> dict[str, Estimate]:
        """All of them, by name."""
        event = {} if self.event is None else {"best rule of events": self.event}
        return {
            "gate": self.gate,
            "shifted switches": self.shifted,
            "untrained gate": self.untrained,
            **event,
            **{f"probe, layer {layer}": probe for layer, probe in enumerate(self.probes)},
        }

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a detector."""
        rows = [{"detector": name} | x.columns("f1") for name, x in self.scores.items()]
        return pd.DataFrame(rows)

    def caption(self) -> str:
        """Says what others reach on the same episodes, and what the gate's F1 then means."""
        event = ""
        if self.event is not None:
            event = f"the best rule of events ({', '.join(self.rule)}) reaches {self.event}, "
        best = f" and of layer {self.layer}, the best, {self.probes[self.layer]}"
        known = max(x.value for x in (self.probes[0], self.event) if x is not None)
        means = (
            "As what is seen at a step tells boundaries as well as the gate does, its F1 says that "
            "it finds, without labels, which event matters; not that boundaries are hidden."
            if known >= self.gate.low
            else "Nothing that is seen at a single step tells boundaries as well as the gate does."
        )
        return (
            f"Against the gate's F1 of {self.gate.value:.3f}: untrained gates reach "
            f"{self.untrained.value:.3f} ({self.untrained.low:.3f} to {self.untrained.high:.3f}); "
            f"given true boundaries of other episodes to choose by, {event}a linear probe of the "
            f"embedding {self.probes[0]}{best if self.layer else ', no later layer more'}. {means}"
        )

    def figure(self) -> go.Figure:
        """Draws F1 of each."""
        scores = self.scores
        colours = [MAIN, *[GREY] * (len(scores) - 1)]
        figure = go.Figure(
            go.Bar(
                x=[name.replace(" ", "<br>") for name in scores],
                **with_intervals(list(scores.values())),
                marker_color=colours,
            )
        )
        figure.update_yaxes(title="F1 of boundaries", range=[0, 1.05])
        figure.update_xaxes(showgrid=False, tickangle=0)
        return styled(figure, "The gate's F1 beside its nulls")


def gate_nulls(
    loaded: LoadedRun, seed: Seed = 0, iterations: Count | None = None, gates: Count = 5
) -> GateNulls:
    """Scores a run's gate and its nulls.

    Args:
        loaded: The run's parts.
        seed: Seed of shifts and untrained gates.
        iterations: Most L-BFGS iterations a probe; the run's own setting if not given.
        gates: Untrained gates.

    Raises:
        NotOffered: No new subgoal begins in any of the demonstrations that are fitted on.
    """
    split = loaded.fit, loaded.test.trajectories
    if not split[0].boundaries().any():
        raise NotOffered(
            f"no new subgoal begins within any of {len(split[0])} demonstrations, so that there "
            "are no boundaries to be found; take a world whose tasks have several"
        )
    most = loaded.sizes.probe_iterations if iterations is None else iterations
    probes, layer = probe_f1(loaded.base, split, most)
    event, rule = _event(loaded.world, split)
    shown = split[1]
    own = score_gate(
        loaded.trace.switches, shown.boundaries(), shown.mask, seed, tolerance=shown.tolerance
    )
    untrained = _untrained(loaded, split, range(seed, seed + gates))
    around = Estimate(float(np.mean(untrained)), min(untrained), max(untrained))
    return GateNulls(own.f1, own.f1_null, around, event, rule, probes, layer)


def best_threshold(values: Values, shown: Trajectories) -> float:
    """Returns that of :data:`THRESHOLDS` at which the values detect boundaries best."""
    return float(max(THRESHOLDS, key=lambda c: f1_of(values >= c, shown).value))


def best_rule(events: Events, shown: Trajectories) -> tuple[int, ...]:
    """Returns the events, in order of precision, of the rule with the largest F1."""
    counts = (events & shown.mask[..., None]).sum(axis=(0, 1))
    true = (events & shown.boundaries()[..., None]).sum(axis=(0, 1))
    happen = np.flatnonzero(counts)
    order = happen[np.argsort(-(true / np.maximum(counts, 1))[happen], kind="stable")]
    f1 = [f1_of(fires(events, order[:k]), shown).value for k in range(1, len(order) + 1)]
    return tuple(order[: 1 + int(np.nanargmax(f1))].tolist()) if f1 else ()


def fires(events: Events, rule: Sequence[int] | NDArray[np.intp]) -> Marks:
    """Marks the steps at which an event of a rule happens."""
    return np.any(events[..., list(rule)], axis=2)


def _event(world: object, split: Split) -> tuple[Estimate | None, tuple[str, ...]]:
    if not isinstance(world, Eventful):
        return None, ()
    fit, test = split
    rule = best_rule(world.events(fit), fit)
    return f1_of(fires(world.events(test), rule), test), tuple(world.event_names[i] for i in rule)


def probe_f1(base: FastPath, split: Split, iterations: int) -> tuple[tuple[Estimate, ...], int]:
    """Returns F1 of a probe of each layer, and the layer that did best where they were fitted.

    Args:
        base: The base model.
        split: Demonstrations to fit on, and others to score on.
        iterations: Most L-BFGS iterations a probe.
    """
    fit, test = split
    labels = np.concatenate([piece.boundaries()[piece.mask] for _, piece in pieces(fit)])
    told = torch.from_numpy(labels.astype(np.int64))
    probes = fit_probes(stream_of_steps(base, fit), told, 2, iterations)
    seen = [per_step(shown, _reading(base, probes)) for shown in (fit, test)]
    thresholds = [best_threshold(seen[0][..., i], fit) for i in range(len(probes))]
    fitted, found = (
        tuple(f1_of(x[..., i] >= c, shown) for i, c in enumerate(thresholds))
        for x, shown in zip(seen, split, strict=True)
    )
    return found, int(np.argmax([x.value for x in fitted]))


def _reading(
    base: FastPath, probes: Sequence[LinearProbe]
) -> Callable[[Trajectories], Float[NDArray[np.floating], "rows steps layers"]]:
    @torch.no_grad()
    def read(piece: Trajectories) -> NDArray[np.floating]:
        streams = layer_streams(base, piece, range(len(probes)))
        told = [p.probabilities(x)[..., 1] for p, x in zip(probes, streams, strict=True)]
        return torch.stack(told, dim=-1).cpu().numpy()

    return read


def _untrained(loaded: LoadedRun, split: Split, seeds: Sequence[int]) -> list[float]:
    base, gates = loaded.base, [untrained_metacontroller(loaded.run, seed) for seed in seeds]

    @torch.no_grad()
    def betas(piece: Trajectories) -> NDArray[np.floating]:
        (stream,), mask = layer_streams(base, piece, (gates[0].layer,)), base.tensor(piece.mask)
        return torch.stack([gate(stream, mask).beta for gate in gates], dim=-1).cpu().numpy()

    fit, test = (np.moveaxis(per_step(shown, betas), -1, 0) for shown in split)
    thresholds = [best_threshold(values, split[0]) for values in fit]
    pairs = zip(test, thresholds, strict=True)
    return [f1_of(values >= c, split[1]).value for values, c in pairs]
