"""Analyses of a run whose parts are on another device: nothing of them is made on the processor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.registry import ANALYSES
from irl_lens.runs.run import Run
from tests.elsewhere import elsewhere

QUICK = ("floor", "probes", "gate", "codes", "control", "learning", "patching", "logit-lens")
OF_A_RUN = [name for name, analysis in ANALYSES.items() if not analysis.several]


def table(run: Run, name: str) -> pd.DataFrame:
    """The numbers of an analysis of a few episodes."""
    loaded = LoadedRun(run)
    loaded.sizes = replace(loaded.sizes, trajectories=24, rollouts=8, probe_iterations=5)
    return ANALYSES[name].of(loaded).to_dataframe().select_dtypes("number")


@pytest.mark.parametrize("name", QUICK)
def test_they_find_the_same(name: str, smoke_run: Run) -> None:
    with elsewhere() as device:
        there = table(smoke_run.on(device), name)
    here = table(smoke_run.on(torch.device("cpu")), name)
    assert len(here)
    np.testing.assert_allclose(there, here, atol=2e-3, rtol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(OF_A_RUN) - set(QUICK)))
def test_all_others_run(name: str, smoke_run: Run) -> None:
    with elsewhere() as device:
        table(smoke_run.on(device), name)
