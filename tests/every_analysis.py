"""Every analysis of one run works, or says in a sentence what the world does not offer."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from irl_lens.analyses.analyze import analyze
from irl_lens.analyses.core.analysis import Analysis
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.options import options_of
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.registry import of_runs
from irl_lens.analyses.report.scan import options
from irl_lens.envs.contracts import offers
from irl_lens.errors import NotOffered

SMALL = {"pairs": 4, "pool": 2, "lags": 2}
SMALLER = {"zero-shot": {"episodes": 8, "boards": 4}}
"""Options of those that measure the same in several worlds."""


def every_analysis(loaded: LoadedRun, but: Collection[str] = ()) -> dict[str, Result]:
    """Runs what the world of a finished run lends itself to, and checks how the rest is refused.

    Args:
        loaded: The run, with small samples.
        but: Names of those that are not run.
    """
    found, world = {}, loaded.world
    for name, one in of_runs(several=False).items():
        if not all(offers(world, contract) for contract in one.asks):
            said = rf"^{name} needs .*, which a {type(world).__name__} does not offer here; see"
            with pytest.raises(NotOffered, match=said):
                analyze(loaded.run, [name])
        elif name not in but:
            found[name] = one.of(loaded, **_small(one))
    for result in found.values():
        assert result.caption() and "nan" not in result.caption().split()
        assert len(result.to_dataframe().columns) and result.figure().data
        result.claims()
    return found


def _small(one: Analysis) -> dict[str, Any]:
    there = options_of(one.function)
    small = {name: number for name, number in SMALL.items() if name in there}
    return options(one) | small | SMALLER.get(one.name, {})
