"""What each head and MLP carries of a controller's effect, beside what random controllers give it.

See :mod:`irl_lens.analyses.control.circuit` for the two ways of attribution and the nulls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import stats

from irl_lens.analyses.control.on_off_runs import Parts, Switched
from irl_lens.analyses.stats.estimates import Estimate, ratio
from irl_lens.analyses.stats.significance import permutation_pvalue
from irl_lens.arrays import NDArray

ALPHA = 0.05
Effects = Float[NDArray[np.float64], " episodes"]


@dataclass(frozen=True)
class Share:
    """What one part carries of a controller's effect.

    Attributes:
        name: ``L4H2`` is head 2 of layer 4; layers are counted from 1.
        value: Its share.
        null: Mean of the random controllers' shares, and the lowest and the highest of them.
        p: Over episodes, adjusted for all parts.
        p_controllers: Over random controllers, adjusted for all parts.
    """

    name: str
    value: Estimate
    null: Estimate
    p: float
    p_controllers: float

    @property
    def beyond(self) -> bool:
        """Whether it carries more than random controllers let it."""
        sure = max(self.p, self.p_controllers) < ALPHA
        return sure and self.value.low > 0 and self.value.value > self.null.value


@dataclass(frozen=True)
class Measured:
    """One controller's effect and its parts, episode by episode."""

    effect: Effects
    changed: float
    names: tuple[tuple[str, ...], tuple[str, ...]]
    written: Parts
    lost: Parts


def measure(run: Switched) -> Measured:
    """Measures a run with and without a controller."""
    (written_names, written), (lost_names, lost) = run.written(), run.lost()
    return Measured(run.effect, run.changed, (written_names, lost_names), written, lost)


def shares_of(
    names: Sequence[str],
    parts: Parts,
    effect: Effects,
    null_parts: Sequence[Parts],
    null: Sequence[Measured],
) -> tuple[Share, ...]:
    """Sums parts up over episodes, against those of random controllers.

    Args:
        names: What the parts are called.
        parts: Each episode's parts of the effect.
        effect: Each episode's effect.
        null_parts: The same parts of every random controller.
        null: Every random controller's effect.
    """
    # Each episode's part over the mean effect; the mean of that over episodes is the share.
    own = parts / effect.mean()
    random = np.stack([p / r.effect.mean() for p, r in zip(null_parts, null, strict=True)])
    p = [permutation_pvalue(own[:, i], random[:, :, i].mean(axis=0)) for i in range(len(names))]
    draws = random.mean(axis=1)
    pairs = zip(own.mean(axis=0), draws.T, strict=True)
    over = stats.false_discovery_control([drawn_pvalue(float(x), y) for x, y in pairs])
    adjusted = stats.false_discovery_control(p)
    return tuple(
        Share(
            name,
            ratio(parts[:, i], effect),
            Estimate(float(draws[:, i].mean()), float(draws[:, i].min()), float(draws[:, i].max())),
            float(adjusted[i]),
            float(over[i]),
        )
        for i, name in enumerate(names)
    )


def drawn_pvalue(value: float, draws: Float[NDArray[np.float64], " draws"]) -> float:
    """Two-sided p of a value being one more of some draws, by Student's t."""
    count, spread = len(draws), float(draws.std(ddof=1))
    if spread == 0:
        return float(value == draws[0])
    t = (value - draws.mean()) / (spread * np.sqrt(1 + 1 / count))
    return float(2 * stats.t.sf(abs(t), count - 1))
