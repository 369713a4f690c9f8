"""Analyses of a run that is on another device: the same numbers as on the processor."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import irl_lens
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.options import options_of
from irl_lens.analyses.explorer import Explorer, export
from irl_lens.analyses.explorer.workbench import Workbench
from irl_lens.analyses.registry import ANALYSES
from irl_lens.config.schema import EvaluationConfig
from irl_lens.runs.run import Run
from tests.elsewhere import elsewhere

SAMPLES = EvaluationConfig(trajectories=32, rollouts=16, probe_iterations=5)
SMALL: dict[str, Any] = {
    "rows": 16,
    "boards": 8,
    "episodes": 24,
    "demonstrations": 16,
    "iterations": 5,
    "draws": 10,
    "pairs": 8,
    "lags": 4,
    "components": ("attention out", "v"),
    "inputs": ("v",),
    "targets": ("subgoal",),
}
SLOW = (
    *("success", "learning", "learning-methods", "control", "gate-counterfactual"),
    *("code-transfer", "component-patches", "controller-algebra", "control-ranks"),
    *("rollout", "circuit", "attribution"),
    *("atlas", "atlas-clusters", "atlas-controllers", "control-depth"),
)
"""Analyses that play or fit for long on a device that is tried in Python."""
NAMES = [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in ANALYSES]


def measured(run: Run, name: str) -> pd.DataFrame:
    wanted = ANALYSES[name]
    known = options_of(wanted.function)
    options = {key: value for key, value in SMALL.items() if key in known}
    if wanted.several:
        return wanted.of_several([run], **options).to_dataframe()
    loaded = LoadedRun(run)
    loaded.sizes = SAMPLES
    assert loaded.base.device.type == loaded.run.device.type == run.device.type
    return wanted.of(loaded, **options).to_dataframe()


@pytest.mark.parametrize("name", NAMES)
def test_an_analysis_measures_the_same_on_another_device(smoke_run: Run, name: str) -> None:
    expected = measured(smoke_run, name)
    with elsewhere() as device:
        found = measured(smoke_run.on(device), name)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-3, atol=1e-4)


def test_a_run_is_analysed_where_it_is_asked_for(smoke_run: Run) -> None:
    small = smoke_run.fresh()
    small.preset = replace(small.preset, evaluation=SAMPLES)
    expected = irl_lens.analyze(small, "probes").to_dataframe()
    with elsewhere() as device:
        found = irl_lens.analyze(small, "probes", device=device).to_dataframe()
        floor = irl_lens.analyze(small.on(device), ["floor"])["floor"].to_dataframe()
    pd.testing.assert_frame_equal(found, expected, rtol=1e-3, atol=1e-4)
    pd.testing.assert_frame_equal(floor, irl_lens.analyze(small, "floor").to_dataframe())


def explored(run: Run) -> dict[str, Any]:
    """What the explorer shows of patches, an edit and steering."""
    session = Explorer(Workbench(run)).set(rows=4)
    shares, step = session.sweep().shares, session.state.step
    session.patch(layer=1, step=step, component="residual pre", held=True)
    session.patch(layer=2, step=step - 1, component="k")
    readings, fields = session.readings(), session.fields()
    found = {"shares": shares, "fields": fields.after, "patched": session.rollouts(patches=True)}
    for name, reading in readings.items():
        found |= {f"{name} actions": reading.actions, f"{name} gate": reading.gate}
    session.unpatch().steer(kind="controller", name=next(iter(run.bank(1))), layer=1)
    found["controlled"] = session.rollouts(steered=True)
    session.steer(kind="code", code=tuple(session.workbench.switch_codes.codes[0].tolist()))
    found["coded"] = session.fork().rollouts(steered=True)
    export.file(session, export.steering(session))
    return {name: getattr(value, "path", value) for name, value in found.items()}


@pytest.mark.slow
def test_the_explorer_shows_the_same_on_another_device(smoke_run: Run) -> None:
    expected = explored(smoke_run)
    with elsewhere() as device:
        found = explored(smoke_run.on(device))
    for name, value in expected.items():
        np.testing.assert_allclose(
            np.asarray(found[name], float), np.asarray(value, float), atol=1e-4, err_msg=name
        )
