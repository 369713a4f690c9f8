"""What an analysis found, in a sentence with a size and a p-value, so that findings can be ranked.

    z = (value - null) / sqrt(se^2 + se_null^2),   se = (high - low) / (2 * 1.96)

is what a p-value comes from where an analysis has intervals only: normal, two-sided, and
multiplied by the number of candidates among which the largest was looked for (Bonferroni).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, hypot, isfinite, nan, sqrt

from irl_lens.analyses.stats.estimates import Estimate, Z


@dataclass(frozen=True)
class Claim:
    """One finding.

    Attributes:
        sentence: What was found; true, too, if it is nothing.
        effect: Distance from the null or control, as a share of how far it could be, its
            sign that of the difference; NaN if it is not known in such a unit.
        p: That of the null or control being all there is; NaN if it was not tested.
    """

    sentence: str
    effect: float = nan
    p: float = nan

    @classmethod
    def against(
        cls, sentence: str, value: Estimate, null: Estimate, reach: float = 1.0, tried: int = 1
    ) -> Claim:
        """Makes a claim of two estimates.

        Args:
            sentence: What was found.
            value: What was measured.
            null: What it is compared with.
            reach: The largest difference there could be; more counts as that.
            tried: Places among which this one was chosen.
        """
        effect = max(-1.0, min(1.0, (value.value - null.value) / reach))
        return cls(sentence, effect, chance(value, null, tried))


def chance(value: Estimate, null: Estimate, tried: int = 1) -> float:
    """The p-value of a difference of two estimates; NaN where neither has an interval.

    Args:
        value: One estimate.
        null: The other.
        tried: Places among which this one was chosen.
    """
    error = hypot(value.high - value.low, null.high - null.low) / (2 * Z)
    if not isfinite(error) or error == 0:
        return nan
    return min(1.0, tried * erfc(abs(value.value - null.value) / error / sqrt(2)))
