"""Where a run stands is read from its folder: states, steps and the time that is left."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from irl_lens.files.lock import FILES, holder, locked
from irl_lens.runs.run import Run
from irl_lens.runs.standing import StageStanding, Standing, standing


@pytest.fixture
def begun(smoke_run: Run, tmp_path: Path) -> Run:
    """A run with a finished base, and controllers of which 12 of 20 steps are logged."""
    preset = replace(smoke_run.preset, controllers=replace(smoke_run.preset.controllers, steps=20))
    run = Run.create(tmp_path / "run", preset, 0)
    shutil.copytree(smoke_run.folder / "base", run.folder / "base")
    log = [{"step": step, "seconds": 4.0 + step / 2, "nll": 1 / step} for step in range(1, 13)]
    (run.folder / "controllers").mkdir()
    text = "".join(json.dumps(row) + "\n" for row in log) + '{"step": 13, "sec'
    (run.folder / "controllers" / "metrics.jsonl").write_text(text)
    return run


def by_name(found: Standing) -> dict[str, StageStanding]:
    return {stage.name: stage for stage in found.stages}


def test_a_stopped_run_says_how_far_it_came(begun: Run) -> None:
    found = standing(begun)
    stages = by_name(found)
    assert found.process is None and not found.finished and tuple(stages) == begun.chain
    assert stages["base"].state == "done" and stages["base"].step == stages["base"].total == 30
    stopped = stages["controllers"]
    assert (stopped.state, stopped.step, stopped.total) == ("stopped", 12, 20)
    assert stopped.seconds == 10.0 and stopped.left is None
    assert found.latest == stopped
    assert {stages[name].state for name in begun.chain[2:]} == {"waiting"}


def test_who_trains_is_told_and_the_time_that_is_left(begun: Run) -> None:
    with locked(begun.folder):
        found = standing(begun)
    assert found.process is not None and found.process["pid"] == os.getpid()
    training = by_name(found)["controllers"]
    assert training.state == "training" and training.left == pytest.approx(8 * 0.5)
    assert standing(begun).process is None


def test_steps_taken_before_the_stage_is_finished_count_as_trained(begun: Run) -> None:
    stage = begun.stage("internal-rl")
    steps = begun.preset.internal_rl.steps
    stage.log(steps, success=0.5)
    part = stage.part("prefix-2")
    part.log(1, success=0.25)
    os.utime(part.folder / "metrics.jsonl", ns=(2**62, 2**62))
    with locked(begun.folder):
        stages = by_name(standing(begun))
    assert stages["internal-rl"].state == "trained"
    assert stages["internal-rl/prefix-2"].state == "training"
    assert stages["internal-rl/prefix-2"].left is None  # one line tells no speed
    assert stages["controllers"].state == "stopped"


def test_a_finished_run_is_finished(smoke_run: Run) -> None:
    found = standing(smoke_run)
    assert found.finished and {stage.state for stage in found.stages} == {"done"}
    rows = by_name(found)["raw-rl"].rows
    assert np.array_equal([row["step"] for row in rows], [1, 2, 3])


def test_who_was_killed_has_the_run_no_longer(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with locked(tmp_path):
        who = holder(tmp_path)
        text = (tmp_path / FILES[1]).read_text()
    assert who is not None and who["pid"] == os.getpid()
    assert holder(tmp_path) is None
    for gone in (text.replace(str(os.getpid()), str(ended.pid)), "{", "[]", '{"pid": 1}'):
        (tmp_path / FILES[1]).write_text(gone)
        assert holder(tmp_path) is None
    elsewhere = json.loads(text) | {"pid": ended.pid, "host": "another machine"}
    (tmp_path / FILES[1]).write_text(json.dumps(elsewhere))
    assert holder(tmp_path) == elsewhere
