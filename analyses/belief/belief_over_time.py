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

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch
from jaxtyping import Float, Int

from irl_lens.analyses.belief.belief_over_time_figure import draw
from irl_lens.analyses.belief.calibrated_belief import (
    Probs,
    Reader,
    compare,
    probe_probabilities,
    true_probability,
)
from irl_lens.analyses.belief.label_probes import (
    by_token,
    fit_probes,
    labels_of,
    shuffled_labels,
    stream_of_steps,
    untrained,
)
from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.report.headline_results import LoadedRun
from irl_lens.analyses.stats.estimates import Estimate, mean
from irl_lens.analyses.stats.significance import bootstrap_ci, holm, permutation_pvalue
from irl_lens.arrays import NDArray
from irl_lens.envs.trajectories import Trajectories
from irl_lens.models.fast import FastPath

POSTERIORS = {"subgoal": "subgoals", "visit": "visits"}
"""What the exact filter has a posterior of, by target."""
EXAMPLES = 3
REACHED = 0.1
"""Share of the episodes that must reach a step for it to be drawn."""


@dataclass(frozen=True)
class Source:
    """One source of beliefs.

    Attributes:
        name: Trained model, shuffled labels, random weights, or the exact filter.
        layer: Output of the block that is read; 0 is the embedding. -1 for the filter.
        reader: Its scores over all steps.
        given: Mean probability of the truth at each step: value, low and high.
        right: How often the likeliest label is the true one, the same.
        rise: Probability of the truth in an episode's last third less that in its first.
        p: Of the rise, by exchanging the two within episodes; adjusted for all layers.
    """

    name: str
    layer: int
    reader: Reader
    given: Float[NDArray[np.float64], "3 steps"]
    right: Float[NDArray[np.float64], "3 steps"]
    rise: Estimate
    p: float


@dataclass(frozen=True)
class Example:
    """One episode as the best layer's probe and the filter see it.

    Attributes:
        truth: The true label of each step.
        probe: Probability of every label.
        exact: The filter's.
    """

    truth: Int[NDArray[np.int64], " steps"]
    probe: Float[NDArray[np.float64], "steps classes"]
    exact: Float[NDArray[np.float64], "steps classes"]


@dataclass(frozen=True)
class BeliefSteps(Result):
    """See the module.

    Attributes:
        target: What is believed: ``"subgoal"`` or ``"visit"``.
        names: Of its values.
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
        return draw(self)

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


def belief_steps(
    bench: LoadedRun,
    target: str = "subgoal",
    episodes: int = 512,
    iterations: int = 60,
    seed: int = 0,
) -> BeliefSteps:
    """Follows the beliefs of every layer through episodes.

    Args:
        bench: The run's parts.
        target: ``"subgoal"`` or ``"visit"``.
        episodes: Most demonstrations to fit on, and to test on.
        iterations: Most L-BFGS iterations a probe.
        seed: Of the shuffling and of the random weights.

    Raises:
        ValueError: The exact filter has no posterior of such a target.
    """
    if target not in POSTERIORS:
        raise ValueError(f"no posterior of {target!r}; there are {', '.join(POSTERIORS)}")
    test = bench.test.trajectories.rows(slice(episodes))
    exact = bench.test.floor.require(POSTERIORS[target])[:episodes, : test.mask.shape[1]]
    names = {"subgoal": bench.world.subgoal_names, "visit": bench.world.visit_names}[target]
    fit, random = bench.fit.rows(slice(episodes)), untrained(bench, seed)
    labels = torch.from_numpy(by_token(fit, target))
    dealt = shuffled_labels(labels, seed)
    plans = (
        ("trained model", bench.base, labels),
        ("random weights", random, labels),
        ("shuffled labels", bench.base, dealt),
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
    shown = tuple(_example(best, exact, test, target, row) for row in _middle(test))
    return replace(result, examples=shown)


def source(
    name: str, layer: int, probs: Probs, exact: Probs, test: Trajectories, target: str
) -> Source:
    """Scores one source's probabilities, over all steps and step by step."""
    labels, mask = labels_of(test, target), test.mask
    given, right = true_probability(probs, labels), probs.argmax(axis=2) == labels
    drawn = np.flatnonzero(mask.mean(axis=0) >= REACHED)
    by_step = [
        np.array([_estimate(values[mask[:, t], t]) for t in drawn]).T for values in (given, right)
    ]
    first, last = (_third(given, mask, part) for part in (0, 2))
    return Source(
        name,
        layer,
        compare(name, probs, exact, test, target),
        by_step[0],
        by_step[1],
        bootstrap_ci(last - first),
        permutation_pvalue(last, first),
    )


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


def _third(
    values: Float[NDArray[np.floating], "n steps"], mask: NDArray[np.bool_], part: int
) -> Float[NDArray[np.float64], " n"]:
    """Mean over one third of each episode's steps: 0 the first, 2 the last."""
    lengths, steps = mask.sum(axis=1, keepdims=True), np.arange(mask.shape[1])
    counted = mask & (3 * steps // np.maximum(lengths, 1) == part)
    # An episode of one or two steps has no last third: its last step stands for it.
    counted |= (counted.sum(axis=1, keepdims=True) == 0) & (steps == lengths - 1)
    return np.where(counted, values, 0).sum(axis=1) / counted.sum(axis=1)


def _estimate(values: NDArray) -> tuple[float, float, float]:
    e = mean(values)
    return e.value, e.low, e.high


def _middle(test: Trajectories) -> Sequence[int]:
    order = np.argsort(test.lengths, kind="stable")
    start = max(0, (len(order) - EXAMPLES) // 2)
    return order[start : start + EXAMPLES].tolist()


def _example(probs: Probs, exact: Probs, test: Trajectories, target: str, row: int) -> Example:
    steps = int(test.lengths[row])
    return Example(
        labels_of(test, target)[row, :steps],
        probs[row, :steps].astype(np.float64),
        exact[row, :steps].astype(np.float64),
    )


def _moves(source: Source) -> str:
    verb = "rises" if source.rise.value > 0 else "falls"
    sure = "" if source.p < 0.05 else ", which may be chance"
    return f"{verb} by {source.rise} (p = {source.p:.3g}{sure})"
