"""Methods by their settings, and the file of what each ends at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from irl_lens.analyses.learning.baselines import baselines
from irl_lens.config.overrides import changed
from irl_lens.config.presets import preset
from irl_lens.errors import UserError
from irl_lens.runs.run import Run

CONTROLLERS = (
    *("internal_rl.decoder=controllers", "internal_rl.switching=true", "internal_rl.start=prior"),
)
SETTINGS = {
    "internal_rl": (),
    "no_abstraction": ("discovery.gate=open", "codes.steps=0"),
    "cotrained": ("discovery.base_lr=1e-3",),
    "random_controllers": ("internal_rl.decoder=random",),
    "supervised_policy": CONTROLLERS,
    "true_switching": ("internal_rl.switching=true",),
}
"""What makes internal RL each of the methods."""


def planted(
    folder: Path, seed: int, *settings: str, stage: str = "internal-rl", success: float = 0.5
) -> Run:
    """A run that a stage has left a success of."""
    run = Run.create(folder, changed(preset("smoke"), settings), seed)
    done = run.stage(stage)
    for batch in (1, 2):
        done.log(batch, episodes=100 * batch, success=success, subgoals=1.0)
    done.finish({}, {"success": success})
    return run


def test_methods_are_told_apart_by_what_they_are_set_to(tmp_path: Path) -> None:
    runs = [planted(tmp_path / key, 0, *given) for key, given in SETTINGS.items()]
    runs.append(planted(tmp_path / "raw", 0, stage="raw-rl"))
    runs.append(planted(tmp_path / "compile", 0, stage="compile-rl"))
    found = baselines(runs)
    assert found.rows.keys() == {*SETTINGS, "raw_rl", "compile"}
    assert len(found.methods) == 8 and found.figure().data
    assert len({method.name for method in found.methods}) == 8


def test_one_run_may_have_several_methods(tmp_path: Path) -> None:
    run = planted(tmp_path / "run", 0, success=0.7)
    for batch in (1, 2):
        run.stage("raw-rl").log(batch, episodes=100 * batch, success=0.0, subgoals=0.0)
    run.stage("raw-rl").finish({}, {"success": 0.0})
    rows = baselines([run]).rows
    assert {key: row.median for key, row in rows.items()} == {"internal_rl": 0.7, "raw_rl": 0.0}


def test_the_file_has_median_range_seeds_episodes_and_command(tmp_path: Path) -> None:
    ends = {2: 0.9, 0: 0.1, 1: 0.4}
    runs = [planted(tmp_path / str(s), s, success=success) for s, success in ends.items()]
    found = baselines(runs)
    content = json.loads(found.save(tmp_path / "baselines").read_text())
    row = content["internal_rl"]
    assert set(row) == {"median", "low", "high", "seeds", "episodes", "command"}
    assert (row["median"], row["low"], row["high"]) == (0.4, 0.1, 0.9)
    assert row["seeds"] == [0, 1, 2] and row["episodes"] == 200 and row["command"]
    assert content.keys() == {"internal_rl", "caption"}
    assert "Internal RL ends at a success of 0.400 (0.100 to 0.900; 3 seeds" in content["caption"]


def test_runs_that_are_no_seeds_of_one_method_are_refused(tmp_path: Path) -> None:
    one = planted(tmp_path / "one", 0)
    with pytest.raises(UserError, match="both internal RL of seed 0"):
        baselines([one, planted(tmp_path / "again", 0)])
    other = planted(tmp_path / "other", 1, "internal_rl.lr=0.5")
    with pytest.raises(UserError, match=r"internal_rl\.lr = .*learning-methods"):
        baselines([one, other])
    with pytest.raises(UserError, match="at least one run"):
        baselines([])
