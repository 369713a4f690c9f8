"""The benchmark of a run times the stages of its chain, and no others."""

from __future__ import annotations

import runpy
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from irl_lens.runs.run import Run

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "run.py"


@pytest.mark.parametrize("steps", [0, 20])
def test_the_stages_of_the_chain_are_timed(smoke_run: Run, steps: int) -> None:
    preset = replace(smoke_run.preset, codes=replace(smoke_run.preset.codes, steps=steps))
    run = Run(smoke_run.folder, smoke_run.config | {"preset": preset.to_dict()})
    jobs = dict(runpy.run_path(str(SCRIPT))["_jobs"](run))
    assert tuple(jobs) == run.chain
    assert all(job.steps > 0 for job in jobs.values())


def test_no_steps_to_time_is_a_mistake(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["run.py", "grid", "--steps", "0"])
    with pytest.raises(SystemExit):
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert "--steps 0: at least 1 is timed" in capsys.readouterr().err
