"""What an oracle is, and what it finds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from irl_lens.conformance.adapter import Adapter, NotOffered

Discrepancies = dict[str, float]
"""By name; an infinite one says that the name is not so."""


@dataclass(frozen=True)
class Outcome:
    """What one oracle found.

    Attributes:
        oracle: The oracle.
        discrepancy: The worst discrepancy; None if the oracle does not apply.
        note: What it is the discrepancy of, or why the oracle does not apply.

    Examples:
        >>> from irl_lens.conformance import ORACLES
        >>> [Outcome(ORACLES[0], d, "").verdict for d in (0.0, 1.0, float("nan"), None)]
        ['pass', 'fail', 'fail', 'not applicable']
    """

    oracle: Oracle
    discrepancy: float | None
    note: str

    @property
    def verdict(self) -> Literal["pass", "fail", "not applicable"]:
        """``pass`` if the discrepancy is at most the tolerance.

        Examples:
            >>> from irl_lens.conformance import ORACLES
            >>> Outcome(ORACLES[2], 2e-5, "z").verdict
            'fail'
        """
        if self.discrepancy is None:
            return "not applicable"
        return "pass" if self.discrepancy <= self.oracle.tolerance else "fail"


@dataclass(frozen=True)
class Oracle:
    """One property, and how to measure how far an implementation is from it.

    Attributes:
        name: A few words.
        statement: The property, in a sentence or two.
        equation: The same as an equation.
        source: Where the paper says so.
        tolerance: Largest discrepancy that passes.
        measure: Returns the discrepancies of an adapter.

    Examples:
        >>> from irl_lens.conformance import ORACLES
        >>> ORACLES[2].name, ORACLES[2].tolerance
        ('integration', 1e-05)
    """

    name: str
    statement: str
    equation: str
    source: str
    tolerance: float
    measure: Callable[[Adapter], Discrepancies]

    def check(self, adapter: Adapter) -> Outcome:
        """Puts an adapter through the oracle.

        Examples:
            >>> from irl_lens.conformance import ORACLES
            >>> class Claims(Adapter):
            ...     name, d_model, n_z = "claims", 4, 2
            ...     def null(self, stream):
            ...         return stream * 1.5
            >>> outcome = ORACLES[1].check(Claims())
            >>> outcome.verdict, outcome.note
            ('fail', 'change of e')
        """
        try:
            found = self.measure(adapter)
        except NotOffered as reason:
            return Outcome(self, None, str(reason))
        # A NaN is worse than anything.
        worst = max(found, key=lambda name: math.inf if math.isnan(found[name]) else found[name])
        return Outcome(self, found[worst], worst)


def oracle(
    equation: str, source: str, tolerance: float
) -> Callable[[Callable[[Adapter], Discrepancies]], Oracle]:
    """Makes a function an oracle; its name and docstring are the oracle's.

    Args:
        equation: What it tests, as an equation.
        source: Where the paper says so.
        tolerance: Largest discrepancy that passes.

    Examples:
        >>> @oracle("d_model > 0", "none", 0.0)
        ... def has_width(adapter):
        ...     "The stream has a width."
        ...     return {"width": 0.0 if adapter.d_model > 0 else math.inf}
        >>> has_width.name, has_width.statement
        ('has width', 'The stream has a width.')
    """

    def make(measure: Callable[[Adapter], Discrepancies]) -> Oracle:
        statement = " ".join((measure.__doc__ or "").split())
        name = measure.__name__.replace("_", " ")
        return Oracle(name, statement, equation, source, tolerance, measure)

    return make
