"""What can be read off the stream, where: linear probes for several labels at every layer.

    p(y_t = k | e_t) = softmax(W e_t + b)_k        e_t at the output of layer l, 0 the embedding

The labels: the abstract subgoal, the single visit, the abstract subgoal after the present one,
the visits completed, and the way the expert goes where only one is shortest. (The paper
probes for the abstract subgoal: arXiv 2512.20605, Fig. 3, A1.) Two controls: the same probes
trained on shuffled labels, and on the stream of a model of the same sizes with random weights,
which shows what comes from the observation alone and not from training. Selectivity is
accuracy over the better of the two, compared on the same steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from jaxtyping import Bool
from plotly.subplots import make_subplots

from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.demonstrations import per_step
from irl_lens.analyses.core.labels import TARGETS, Target, by_token, labels_of
from irl_lens.analyses.core.linear_probe import (
    LinearProbe,
    fit_probes,
    layer_streams,
    shuffled_labels,
    stream_of_steps,
)
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.options import Count, Seed
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.figures.intervals import one_legend, with_intervals
from irl_lens.analyses.figures.style import CONTRAST, GREY, MAIN, styled
from irl_lens.analyses.stats.estimates import Estimate, step_mean
from irl_lens.arrays import NDArray
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import NotOffered
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.fast import FastPath

Marks = Bool[NDArray[np.bool_], "n steps layers"]


@dataclass(frozen=True)
class Reading:
    """Probes for one label at one layer.

    Attributes:
        target: One of :data:`TARGETS`.
        layer: Read at its output; 0 is the embedding.
        accuracy: On episodes the probe was not trained on.
        shuffled: Accuracy of a probe trained on shuffled labels.
        untrained: Accuracy of a probe on the stream of a model with random weights.
        selectivity: Accuracy over that of the better of the two, episode by episode.
    """

    target: str
    layer: int
    accuracy: Estimate
    shuffled: Estimate
    untrained: Estimate
    selectivity: Estimate


@dataclass(frozen=True)
class LabelProbes(Result):
    """All targets at all layers.

    Attributes:
        readings: One a target and layer.
        left: Targets that were left out: not labelled here, or the same at all steps.
    """

    readings: tuple[Reading, ...]
    left: tuple[str, ...] = ()

    def best(self, target: str) -> Reading:
        """The layer at which a target is read best."""
        own = [reading for reading in self.readings if reading.target == target]
        return max(own, key=lambda reading: reading.accuracy.value)

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets that were probed for."""
        return tuple(dict.fromkeys(reading.target for reading in self.readings))

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a target and layer."""
        rows = [
            {"target": r.target, "layer": r.layer}
            | r.accuracy.columns("accuracy")
            | r.shuffled.columns("shuffled")
            | r.untrained.columns("untrained")
            | r.selectivity.columns("selectivity")
            for r in self.readings
        ]
        return pd.DataFrame(rows)

    def caption(self) -> str:
        """Where each is read best, and what the controls say."""
        parts = [
            f"{r.target} at layer {r.layer} ({r.accuracy.value:.3f}, controls "
            f"{r.shuffled.value:.3f} and {r.untrained.value:.3f}, over the better {r.selectivity})"
            for r in map(self.best, self.targets)
        ]
        none = [t for t in self.targets if not self.best(t).selectivity.low > 0]
        told = f" No better than the controls: {', '.join(none)}." if none else ""
        gone = ", ".join(self.left)
        left = f" Not labelled here, or the same at all steps: {gone}." if gone else ""
        return (
            "Best read, by accuracy on episodes not trained on, against shuffled labels and a "
            f"model with random weights: {'; '.join(parts)}.{told}{left} That something can be "
            "read does not show that the model uses it."
        )

    def claims(self) -> tuple[Claim, ...]:
        """The best layer of each target against the better of the controls."""
        tried = len(self.readings) // len(self.targets)
        return tuple(
            Claim.against(
                f"The {r.target} can be read at layer {r.layer} with accuracy "
                f"{r.accuracy.value:.3f}, over the better control {r.selectivity}.",
                r.selectivity,
                Estimate(0, 0, 0),
                tried=tried,
            )
            for r in map(self.best, self.targets)
        )

    def figure(self) -> go.Figure:
        """Draws accuracy by layer, one panel a target."""
        figure = make_subplots(1, len(self.targets), subplot_titles=self.targets, shared_yaxes=True)
        kinds = {
            "accuracy": ("trained model", MAIN, "solid"),
            "untrained": ("random weights", CONTRAST, "dash"),
            "shuffled": ("shuffled labels", GREY, "dot"),
        }
        for column, target in enumerate(self.targets, start=1):
            own = [reading for reading in self.readings if reading.target == target]
            for field, (name, colour, dash) in kinds.items():
                estimates = [getattr(reading, field) for reading in own]
                figure.add_scatter(
                    x=[reading.layer for reading in own],
                    **with_intervals(estimates, width=3),
                    **one_legend(name, column == 1),
                    line={"color": colour, "dash": dash},
                    row=1,
                    col=column,
                )
        figure.update_xaxes(title="layer (0: embedding)", dtick=1)
        figure.update_yaxes(range=[0, 1])
        figure.update_yaxes(title="accuracy", col=1)
        layout = {"legend": {"y": 1.12}, "margin": {"t": 130}}
        return styled(figure, "What can be read off the stream", 420, **layout)


def label_probes(
    loaded: LoadedRun,
    targets: tuple[Target, ...] = TARGETS,
    episodes: Count = 512,
    iterations: Count = 60,
    seed: Seed = 0,
) -> LabelProbes:
    """Probes for several labels at every layer.

    Args:
        loaded: The run's parts.
        targets: Some of :data:`TARGETS`.
        episodes: Most demonstrations to fit on, and to test on.
        iterations: Most L-BFGS iterations a probe.
        seed: Seed of the shuffles and of the random weights.

    Raises:
        NotOffered: The world labels none of them.
    """
    fit = loaded.fit.rows(slice(episodes))
    test = loaded.test.trajectories.rows(slice(episodes))
    there = [target for target in targets if _varies(fit, target) and _varies(test, target)]
    if not there:
        raise NotOffered(
            f"the world labels none of {', '.join(targets)}, or each is the same at all steps; "
            "take one that has labels"
        )
    bases = loaded.base, untrained(loaded, seed)
    trained, random = (stream_of_steps(base, fit) for base in bases)
    readings = []
    for target in there:
        labels = torch.from_numpy(by_token(fit, target))
        classes = int(max(labels.max(), labels_of(test, target).max())) + 1
        sets = ((trained, labels), (trained, shuffled_labels(labels, seed)), (random, labels))
        marks = [
            right_answers(base, test, target, fit_probes(streams, y, classes, iterations))
            for base, (streams, y) in zip((bases[0], *bases), sets, strict=True)
        ]
        readings += _readings(target, labels_of(test, target) >= 0, marks)
    return LabelProbes(tuple(readings), tuple(x for x in targets if x not in there))


def _varies(shown: Trajectories, target: str) -> bool:
    """Whether there are two classes of a label, or more."""
    try:
        labels = labels_of(shown, target)
    except NotOffered:
        return False
    return len(np.unique(labels[labels >= 0])) > 1


def untrained(loaded: LoadedRun, seed: int) -> FastPath:
    """A model of the run's sizes with random weights."""
    world = loaded.world
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = TrajectoryModel(loaded.run.preset.base, world.observation, world.actions)
    return FastPath(model.frozen(), loaded.run.preset.pretrain.precision)


def right_answers(
    base: FastPath, test: Trajectories, target: str, probes: Sequence[LinearProbe]
) -> Marks:
    """Marks the steps at which the probe of each layer, from the embedding on, is right."""
    layers = range(len(probes))

    def right(piece: Trajectories) -> NDArray[np.bool_]:
        labels = base.tensor(labels_of(piece, target))
        streams = layer_streams(base, piece, layers)
        answers = [probe.predict(x) == labels for probe, x in zip(probes, streams, strict=True)]
        return torch.stack(answers, dim=-1).cpu().numpy()

    return per_step(test, right)


def _readings(
    target: str, counted: Bool[NDArray[np.bool_], "n steps"], marks: Sequence[Marks]
) -> list[Reading]:
    """Scores the probes of all layers: trained, on shuffled labels, on random weights."""
    readings = []
    for layer in range(marks[0].shape[2]):
        own, *controls = (mark[..., layer] for mark in marks)
        accuracy, shuffled, random = (step_mean(mark, counted) for mark in (own, *controls))
        over = [step_mean(own.astype(int) - control, counted) for control in controls]
        least = min(over, key=lambda estimate: estimate.value)
        readings.append(Reading(target, layer, accuracy, shuffled, random, least))
    return readings
