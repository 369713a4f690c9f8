"""How much of the clean behaviour is there: metrics of the model's outputs at a decision.

    logit difference   x_a - x_b      [nats: the log odds of a against b]
    probability        p(a)
    kl                 KL(p_clean || p) = sum_i p_clean(i) ln(p_clean(i) / p(i))     [nats]

with a the action that the model prefers in the clean episode, and b the one that the edit
favours most against it. Where actions are real vectors, outputs m of the model are their means, and
there is one metric:

    mean action        m . u          u = (m_clean - m_corrupted) / |m_clean - m_corrupted|

how far the mean is on the way that the edit moves it. Each is then put on one scale, 0 the
corrupted run and 1 the clean one:

    normalized = (patched - corrupted) / (clean - corrupted),   effect = patched - corrupted

Averages over pairs are ratios of sums: a pair that the edit hardly changes weighs little.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from irl_lens.analyses.stats.estimates import Estimate, ratio
from irl_lens.arrays import NDArray
from irl_lens.envs.spaces import ActionSpec, DiscreteActions


@dataclass(frozen=True)
class Readout:
    """What the metrics compare with.

    Attributes:
        clean_action: The action that the model prefers in the clean episode, of each pair.
        other_action: The one whose logit gains most on it by the edit.
        clean_log_probs: Log-probabilities of all actions in the clean episode.
        changed: Whether the edit makes the model prefer another action.
    """

    clean_action: Int[Tensor, " pairs"]
    other_action: Int[Tensor, " pairs"]
    clean_log_probs: Float[Tensor, "pairs actions"]
    changed: Bool[Tensor, " pairs"]

    @classmethod
    def of(
        cls, clean: Float[Tensor, "pairs actions"], corrupted: Float[Tensor, "pairs actions"]
    ) -> Readout:
        """Chooses the actions from the logits of both runs at the decision."""
        best, changed = clean.argmax(dim=-1), clean.argmax(dim=-1) != corrupted.argmax(dim=-1)
        gain = (corrupted - clean).scatter(1, best[:, None], -torch.inf)
        return cls(best, gain.argmax(dim=-1), clean.log_softmax(dim=-1), changed)

    def rows(self, index: Int[Tensor, " rows"]) -> Readout:
        """Returns that of the selected pairs."""
        return Readout(*(getattr(self, field.name)[index] for field in fields(self)))


@dataclass(frozen=True)
class Way:
    """What the metric of real actions compares with.

    Attributes:
        along: Unit vector by which the edit moves the mean action, from the corrupted episode to
            the clean one, 0 for the outputs that are no means, ``[pairs, outputs]``; all 0 where
            it does not move.
    """

    along: Float[Tensor, "pairs outputs"]

    @classmethod
    def of(
        cls,
        clean: Float[Tensor, "pairs outputs"],
        corrupted: Float[Tensor, "pairs outputs"],
        size: int,
    ) -> Way:
        """Compares the first ``size`` outputs of both runs at the decision, the means."""
        moved = clean - corrupted
        moved[:, size:] = 0
        return cls(torch.nn.functional.normalize(moved, dim=-1))

    def rows(self, index: Int[Tensor, " rows"]) -> Way:
        """Returns that of the selected pairs."""
        return Way(self.along[index])


Logits = Float[Tensor, "*batch pairs actions"]
Values = Float[Tensor, "*batch pairs"]


def logit_difference(logits: Logits, readout: Readout) -> Values:
    """Logit of the clean action less that of the other [nats]."""
    return _of(logits, readout.clean_action) - _of(logits, readout.other_action)


def probability(logits: Logits, readout: Readout) -> Values:
    """Probability of the clean action."""
    return _of(logits.softmax(dim=-1), readout.clean_action)


def kl(logits: Logits, readout: Readout) -> Values:
    """Divergence from the clean distribution [nats]; lower is nearer."""
    clean = readout.clean_log_probs
    return (clean.exp() * (clean - logits.log_softmax(dim=-1))).sum(dim=-1)


def mean_action(outputs: Logits, way: Way) -> Values:
    """How far the mean action is along the way of the edit, on the model's own scale."""
    return (outputs * way.along).sum(dim=-1)


METRICS: dict[str, Callable[[Tensor, Readout], Tensor]] = {
    "logit difference": logit_difference,
    "probability": probability,
    "kl": kl,
}
"""Those of actions of a list, the usual one first."""
MEAN_ACTION = "mean action"
"""The one of real actions."""


def metrics_of(actions: ActionSpec) -> tuple[str, ...]:
    """Names the metrics that there are for a kind of actions, the usual one first."""
    return tuple(METRICS) if isinstance(actions, DiscreteActions) else (MEAN_ACTION,)


def readout_of(
    clean: Float[Tensor, "pairs outputs"],
    corrupted: Float[Tensor, "pairs outputs"],
    actions: ActionSpec,
) -> Readout | Way:
    """Returns what to compare the outputs of both runs by."""
    if isinstance(actions, DiscreteActions):
        return Readout.of(clean, corrupted)
    return Way.of(clean, corrupted, actions.size)


def difference(outputs: Logits, readout: Readout | Way) -> Values:
    """The usual metric, which is linear in the outputs: logit difference, or mean action."""
    if isinstance(readout, Way):
        return mean_action(outputs, readout)
    return logit_difference(outputs, readout)


def measured(metric: str, outputs: Logits, readout: Readout | Way) -> Values:
    """Returns a metric by its name."""
    if isinstance(readout, Way):
        return mean_action(outputs, readout)
    return METRICS[metric](outputs, readout)


Numbers = Shaped[NDArray[np.floating], "*batch"]


def effect(patched: Numbers, corrupted: Numbers) -> Numbers:
    """Returns what patching changed, in the metric's own unit."""
    return patched - corrupted


def normalized(patched: Numbers, clean: Numbers, corrupted: Numbers) -> Numbers:
    """Returns patched values on the scale of 0, the corrupted run, to 1, the clean one."""
    return (patched - corrupted) / (clean - corrupted)


def restored(
    effects: Shaped[NDArray[np.floating], " pairs"], total: Shaped[NDArray[np.floating], " pairs"]
) -> Estimate:
    """Returns the share of the edit's total effect that patching restores, over pairs.

    Args:
        effects: What patching changed, of each pair.
        total: Clean less corrupted.
    """
    return ratio(effects, total)


def _of(values: Logits, actions: Int[Tensor, " pairs"]) -> Values:
    return values[..., torch.arange(len(actions), device=actions.device), actions]
