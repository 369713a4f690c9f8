"""The controllers of a run's codes, one by one: weights, neighbours, behaviour, placebos.

The controller of a subgoal is that of its mean code where the gate opens. It is described from
its weights (:mod:`irl_lens.analyses.atlas.weights`), by its likeness to the others (Frobenius
cosine), and by what agents do under it (:mod:`irl_lens.analyses.atlas.behaviour`); a random
controller of the same singular values stands beside it everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from jaxtyping import Float
from numpy.typing import NDArray

from irl_lens.analyses.atlas.behaviour import Behaviour, behave
from irl_lens.analyses.atlas.figures import overview
from irl_lens.analyses.atlas.subjects import Subject, code_subjects
from irl_lens.analyses.atlas.weights import Score, probed, score, written_to
from irl_lens.analyses.findings import Bench
from irl_lens.analyses.probes import fit_probe, layer_streams
from irl_lens.analyses.result import Result
from irl_lens.analyses.roaming import Field
from irl_lens.rl.trainer import draw_seed
from irl_lens.training.codes import load_metacontroller

ALPHA = 0.05
"""Level below which a difference from the placebo is said to be one."""
SHOWN = 256
"""Demonstrations that codes are taken from and the probe is fitted on."""


@dataclass(frozen=True)
class Entry:
    """One controller.

    Attributes:
        name: The subgoal it is for.
        norm: Frobenius norm of U.
        effective_rank: See :attr:`irl_lens.hooks.Spectrum.effective_rank`.
        values: Singular values, largest first; the placebo's are the same.
        scores: What it reads and writes.
        behaviour: What agents do under it.
    """

    name: str
    norm: float
    effective_rank: float
    values: Float[NDArray[np.float32], " k"]
    scores: tuple[Score, ...]
    behaviour: Behaviour


@dataclass(frozen=True)
class Atlas(Result):
    """All controllers.

    Attributes:
        entries: One a controller.
        cosines: Likeness of every two controllers, in the order of the entries.
        names: Of all abstract subgoals.
        size: Cells on a side of a board.
        boards: How many were roamed.
    """

    entries: tuple[Entry, ...]
    cosines: Float[NDArray[np.float32], "entries entries"]
    names: tuple[str, ...]
    size: int
    boards: int

    def nearest(self, name: str) -> list[tuple[str, float]]:
        """Returns the other controllers with their cosines, nearest first."""
        own = [entry.name for entry in self.entries].index(name)
        pairs = [(e.name, float(c)) for e, c in zip(self.entries, self.cosines[own], strict=True)]
        return sorted((pair for pair in pairs if pair[0] != name), key=lambda pair: -pair[1])

    def hits(self, kind: str = "steered") -> Float[NDArray[np.float64], "entries subgoals"]:
        """Share of agents that reach each subgoal first; "steered", "placebo" or "alone"."""
        ways = [getattr(entry.behaviour, kind) for entry in self.entries]
        return np.array([[hit.value for hit in way.hits] for way in ways])

    def figure(self) -> go.Figure:
        """Draws first subgoals with, under a placebo and without, and the cosines."""
        return overview(self)

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a controller and number, which another run's can be held against."""
        rows = [
            {"controller": entry.name, "quantity": quantity, "value": value, "placebo": placebo}
            for entry in self.entries
            for quantity, value, placebo in _quantities(entry, self.names)
        ]
        return pd.DataFrame(rows)

    def caption(self) -> str:
        """Says which controllers lead to their own subgoal more often than a placebo."""
        sentences = [self._sentence(entry) for entry in self.entries]
        return " ".join(
            [
                f"Each controller held from the first step on {self.boards} boards without a "
                "task; shares of agents whose first subgoal is the controller's own.",
                *sentences,
                "The placebo has the same singular values in random directions.",
            ]
        )

    def _sentence(self, entry: Entry) -> str:
        own, found = self.names.index(entry.name), entry.behaviour
        steered, placebo = found.steered.hits[own], found.placebo.hits[own]
        differs = found.p < ALPHA and steered.value > placebo.value
        verdict = "more than" if differs else "not reliably more than"
        return (
            f"{entry.name}: {steered.value:.3f}, {verdict} the placebo's {placebo.value:.3f} "
            f"(p {found.p:.3f}; {found.alone.hits[own].value:.3f} without control)."
        )


def atlas(bench: Bench, boards: int = 256, draws: int = 99, seed: int = 0) -> Atlas:
    """Describes the controllers of a run's codes.

    Args:
        bench: A run whose metacontroller is trained.
        boards: To roam on.
        draws: Placebos that weights are held against.
        seed: Of the placebos.

    Raises:
        UserError: The world has no boards to roam on.
    """
    meta, names = load_metacontroller(bench.run), bench.world.subgoal_names
    shown = bench.fit.rows(slice(SHOWN))
    kept = torch.from_numpy(shown.mask)
    stream = layer_streams(bench.base, shown, (meta.layer,))[0][kept]
    labels = torch.from_numpy(shown.subgoals)[kept]
    probe = probed(fit_probe(stream, labels, len(names)).weight, names)
    targets = probe, probe | written_to(bench.base.model, meta.layer)
    drawn = draw_seed(bench.run.seed, "analysis-atlas", 0)
    field = Field(bench.base, bench.world, boards, drawn, bench.trial.temperature)
    subjects = code_subjects(meta, bench.base, shown, names)
    return describe(subjects, targets, field, draws, seed)


def describe(
    subjects: list[Subject],
    targets: tuple[dict, dict],
    field: Field,
    draws: int = 99,
    seed: int = 0,
) -> Atlas:
    """Describes controllers; see :func:`atlas`.

    Args:
        subjects: At least one, each named after a subgoal.
        targets: Weights to be read, and weights to be written to.
        field: Where to roam.
        draws: Placebos that weights are held against.
        seed: Of the placebos.
    """
    alone, names = field.roam(), field.world.subgoal_names
    generator, entries = torch.Generator().manual_seed(seed), []
    for subject in subjects:
        spectrum = subject.spectrum
        hooks, own = (subject.controller, subject.placebo(generator)), names.index(subject.name)
        entries.append(
            Entry(
                subject.name,
                float(spectrum.norm),
                float(spectrum.effective_rank),
                spectrum.values.detach().numpy(),
                score(subject, *targets, draws, seed),
                behave(field, *hooks, alone, own, len(names)),
            )
        )
    size = round(alone.cells**0.5)
    return Atlas(tuple(entries), _cosines(subjects), names, size, field.rows)


def _cosines(subjects: list[Subject]) -> Float[NDArray[np.float32], "n n"]:
    controllers = [subject.controller for subject in subjects]
    table = [[float(a.cosine(b)) for b in controllers] for a in controllers]
    return np.array(table, np.float32)


def _quantities(entry: Entry, names: tuple[str, ...]) -> list[tuple[str, float, float]]:
    """Name, value and placebo's value of each number of an entry."""
    steered, placebo = entry.behaviour.steered, entry.behaviour.placebo
    return [
        ("norm", entry.norm, entry.norm),
        ("effective rank", entry.effective_rank, entry.effective_rank),
        *((f"{s.side} {s.target}", s.value, s.placebo) for s in entry.scores),
        *(
            (f"first {name}", hit.value, other.value)
            for name, hit, other in zip(names, steered.hits, placebo.hits, strict=True)
        ),
        ("steps to the first subgoal", steered.steps.value, placebo.steps.value),
    ]
