"""How belief unfolds within an episode: probes of every layer, step by step.

    q^l_t = softmax(W^l e^l_t + b^l),    drawn: mean over episodes of q^l_t(y_t), and how often
                                         its likeliest label is y_t, by layer l and step t

(arXiv 2512.20605, Fig. 3, A1.) What the exact filter gives the truth at the same steps is the
ceiling. Controls are the same probes trained on shuffled labels, and on the stream of a model
of the same sizes with random weights. The rise within an episode is what is given to the truth
in the last third of its steps less that in the first, episode by episode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from jaxtyping import Float, Int

from irl_lens.analyses.belief.belief_over_time_figure import draw
from irl_lens.analyses.belief.belief_source import (
    Example,
    Source,
    example_of,
    middle_episodes,
    source,
)
from irl_lens.analyses.belief.calibrated_belief import (
    probe_probabilities,
)
from irl_lens.analyses.belief.label_probes import untrained
from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.labels import by_token
from irl_lens.analyses.core.linear_probe import fit_probes, shuffled_labels, stream_of_steps
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.options import Count, Seed
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.stats.estimates import Estimate
from irl_lens.analyses.stats.significance import holm
from irl_lens.arrays import NDArray
from irl_lens.envs.trajectories import Trajectories
from irl_lens.models.fast import FastPath

POSTERIORS = {"subgoal": "subgoals", "visit": "visits"}
"""What the exact filter has a posterior of, by target."""


@dataclass(frozen=True)
class BeliefSteps(Result):
    """See the module.

    Attributes:
        target: What is believed: ``"subgoal"`` or ``"visit"``.
        names: Names of its values.
        trained: One a layer.
        untrained: The same with random weights.
        shuffled: The same with shuffled labels.
        exact: The exact filter.
        examples: Some episodes of middle length.
    """

    target: str
    names: tuple[str, ...]
    trained: tuple[Source, ...]
    untrained: tuple[Source, ...]
    shuffled: tuple[Source, ...]
    exact: Source
    examples: tuple[Example, ...]

    @property
    def best(self) -> int:
        """The layer of highest accuracy."""
        return max(self.trained, key=lambda source: source.reader.accuracy.value).layer

    @property
    def sources(self) -> tuple[Source, ...]:
        """All of them."""
        return (*self.trained, *self.untrained, *self.shuffled, self.exact)

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a source and layer."""
        return pd.DataFrame(
            [
                {"source": source.name, "layer": source.layer}
                | source.reader.columns()
                | source.rise.columns("rise")
                | {"rise_p": source.p}
                for source in self.sources
            ]
        )

    def by_step(self) -> pd.DataFrame:
        """Returns one row a source, layer and step."""
        return pd.DataFrame(
            [
                {"source": source.name, "layer": source.layer, "step": step}
                | Estimate(*source.given[:, step].tolist()).columns("given")
                | Estimate(*source.right[:, step].tolist()).columns("right")
                for source in self.sources
                for step in range(source.given.shape[1])
            ]
        )

    def claims(self) -> tuple[Claim, ...]:
        """Whether belief in the truth rises within an episode."""
        own = self.trained[self.best]
        sentence = (
            f"Within an episode, the probability of the true {self.target} that a probe reads at "
            f"layer {self.best} {_moves(own)}, the exact filter's by {self.exact.rise.value:.3f}."
        )
        return (Claim(sentence, own.rise.value, own.p),)

    def figure(self) -> go.Figure:
        """Draws accuracy by layer and step, belief by step, and some episodes."""
        best = self.best
        curves = self.trained[best], self.exact, self.untrained[best], self.shuffled[best]
        return draw(self.target, self.names, self.trained, curves, self.examples)

    def caption(self) -> str:
        """How good the best layer is against the filter and the controls, and whether it rises."""
        own, exact = self.trained[self.best], self.exact
        random, shuffled = self.untrained[self.best], self.shuffled[self.best]
        return (
            f"The {self.target} is read best at layer {self.best} of {len(self.trained) - 1} (0 is "
            f"the embedding): accuracy {own.reader.accuracy} and cross-entropy "
            f"{own.reader.cross_entropy.value:.3f} nats, the exact filter "
            f"{exact.reader.accuracy.value:.3f} and {exact.reader.cross_entropy.value:.3f}, with "
            f"random weights {random.reader.accuracy.value:.3f}, on shuffled labels "
            f"{shuffled.reader.accuracy.value:.3f}. From the first third of an episode to the "
            f"last, the probability of the truth {_moves(own)}, the filter's by "
            f"{exact.rise.value:.3f}, with random weights by {random.rise.value:.3f}; p is "
            f"adjusted for {len(self.trained)} layers (Holm)."
        )


def belief_over_time(
    loaded: LoadedRun,
    target: Literal["subgoal", "visit"] = "subgoal",
    episodes: Count = 512,
    iterations: Count = 60,
    seed: Seed = 0,
) -> BeliefSteps:
    """Follows the beliefs of every layer through episodes.

    Args:
        loaded: The run's parts.
        target: ``"subgoal"`` or ``"visit"``.
        episodes: Most demonstrations to fit on, and to test on.
        iterations: Most L-BFGS iterations a probe.
        seed: Seed of the shuffling and of the random weights.
    """
    test = loaded.test.trajectories.rows(slice(episodes))
    exact = loaded.test.floor.require(POSTERIORS[target])[:episodes, : test.mask.shape[1]]
    names = {"subgoal": loaded.world.subgoal_names, "visit": loaded.world.visit_names}[target]
    fit, random = loaded.fit.rows(slice(episodes)), untrained(loaded, seed)
    labels = torch.from_numpy(by_token(fit, target))
    dealt = shuffled_labels(labels, seed)
    plans = (
        ("trained model", loaded.base, labels),
        ("random weights", random, labels),
        ("shuffled labels", loaded.base, dealt),
    )
    found = [_probed(base, fit, test, y, len(names), iterations) for _, base, y in plans]
    trained, random_, shuffled = (
        _adjusted(
            [
                source(name, layer, probs[:, :, layer], exact, test, target)
                for layer in range(probs.shape[2])
            ]
        )
        for (name, *_), probs in zip(plans, found, strict=True)
    )
    filtered = source("exact Bayes filter", -1, exact, exact, test, target)
    result = BeliefSteps(target, names, trained, random_, shuffled, filtered, ())
    best = found[0][:, :, result.best]
    shown = tuple(example_of(best, exact, test, target, row) for row in middle_episodes(test))
    return replace(result, examples=shown)


def _adjusted(layers: Sequence[Source]) -> tuple[Source, ...]:
    pairs = zip(layers, holm([layer.p for layer in layers]), strict=True)
    return tuple(replace(layer, p=p) for layer, p in pairs)


def _probed(
    base: FastPath,
    fit: Trajectories,
    test: Trajectories,
    labels: Int[torch.Tensor, " tokens"],
    classes: int,
    iterations: int,
) -> Float[NDArray[np.floating], "n steps layers classes"]:
    probes = fit_probes(stream_of_steps(base, fit), labels, classes, iterations)
    return probe_probabilities(base, test, dict(enumerate(probes)))


def _moves(source: Source) -> str:
    verb = "rises" if source.rise.value > 0 else "falls"
    sure = "" if source.p < 0.05 else ", which may be chance"
    return f"{verb} by {source.rise} (p = {source.p:.3g}{sure})"
