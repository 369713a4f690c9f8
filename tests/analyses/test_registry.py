"""What ``irl-lens analyze`` knows: every name leads to a function, and every function works."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from pkgutil import resolve_name
from types import SimpleNamespace

import pandas as pd
import plotly.graph_objects as go
import pytest

from irl_lens.analyses.core.result import Result
from irl_lens.analyses.registry import CATALOGUE, Entry, entry, write
from irl_lens.config.presets import preset
from irl_lens.config.schema import CodesConfig
from irl_lens.errors import UserError
from irl_lens.progress import QuietProgress
from irl_lens.runs.run import Run, find_run


@dataclass(frozen=True)
class Number(Result):
    value: int

    def figure(self) -> go.Figure:
        return go.Figure()

    def to_dataframe(self) -> pd.DataFrame:
        return pd.DataFrame([{"value": self.value}])

    def caption(self) -> str:
        return f"It is {self.value}."


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_name_leads_to_a_function(name: str) -> None:
    assert callable(resolve_name(CATALOGUE[name].where))
    assert CATALOGUE[name].title


def test_what_acts_is_needed_of_the_stage_that_leaves_it(tmp_path: Path) -> None:
    smoke = preset("smoke")
    with_codes = Run.create(tmp_path / "with", smoke, 0)
    without = Run.create(tmp_path / "without", replace(smoke, codes=CodesConfig()), 0)
    assert entry("belief").stages(with_codes) == ("base",)
    assert entry("latent").stages(with_codes) == ("base", "codes")
    assert entry("latent").stages(without) == ("base", "metacontroller")


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="no analysis 'believe'; did you mean 'belief'"):
        entry("believe")
    with pytest.raises(UserError, match=r"there are .*belief"):
        entry("zzz")


def test_an_unfinished_stage_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", preset("smoke"), 0)
    with pytest.raises(
        UserError, match=r"belief needs the stage base of .*irl-lens train base --preset smoke"
    ):
        write(run, {"belief": entry("belief")}, tmp_path / "out", QuietProgress())
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_held_against_another_run_is_not_run(tmp_path: Path) -> None:
    run = find_run("grid")
    with pytest.raises(UserError, match=r"belief holds no two runs .*; atlas, .* do"):
        write(run, {"belief": entry("belief")}, tmp_path / "out", QuietProgress(), run)
    assert not (tmp_path / "out").exists()
    bare = Run.create(tmp_path / "run", preset("smoke"), 0)
    wanted = {"atlas-controllers": entry("atlas-controllers")}
    with pytest.raises(UserError, match=r"atlas-controllers needs the stage base of .*/run;"):
        write(run, wanted, tmp_path / "out", QuietProgress(), bare)
    assert not (tmp_path / "out").exists()
    assert wanted["atlas-controllers"].stages(bare) == ("base", "controllers")


def test_two_runs_are_held_against_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def less(one: Number, other: Number) -> Number:
        return Number(other.value - one.value)

    planted = SimpleNamespace(find=lambda bench: Number(bench.run.seed), less=less)
    monkeypatch.setitem(sys.modules, "planted", planted)
    wanted = {"one": Entry("planted:find", "One", against="planted:less")}
    run, other = find_run("grid"), find_run("grid")
    other.seed = run.seed + 3
    found = write(run, wanted, tmp_path, QuietProgress(), other)
    assert found == {"one-against": Number(3)}
    assert {path.stem for path in tmp_path.iterdir()} == {"one-against"}
    assert write(run, wanted, None, QuietProgress()) == {"one": Number(run.seed)}
    assert {path.stem for path in tmp_path.iterdir()} == {"one-against"}


def test_figure_table_and_numbers_are_written(tmp_path: Path) -> None:
    found = write(find_run("grid"), {"belief": entry("belief")}, tmp_path, QuietProgress())
    caption = found["belief"].caption()
    names = {"belief.html", "belief.csv", "belief.json", "belief.npz"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert json.loads((tmp_path / "belief.json").read_text())["caption"] == caption
    assert len(pd.read_csv(tmp_path / "belief.csv")) == 3
    assert caption in (tmp_path / "belief.html").read_text()
