"""What ``irl-lens analyze`` knows: every name leads to a function, and every function works."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path
from pkgutil import resolve_name
from types import SimpleNamespace

import pandas as pd
import plotly.graph_objects as go
import pytest

from irl_lens import cli
from irl_lens.analyses.analyze import analyze, compare
from irl_lens.analyses.core.analysis import Analysis
from irl_lens.analyses.core.options import options_of
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.registry import ANALYSES, analysis, of_runs
from irl_lens.config.presets import preset
from irl_lens.config.schema import CodesConfig
from irl_lens.errors import UserError
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


@pytest.mark.parametrize("name", ANALYSES)
def test_every_name_leads_to_a_function_and_its_options_keep_their_ranges(name: str) -> None:
    one = ANALYSES[name]
    assert one.name == name and one.title and callable(one.function)
    if one.against:
        assert callable(resolve_name(one.against))
    defaults = {key: option.default for key, option in options_of(one.function).items()}
    assert one.options(defaults) == defaults


def test_what_is_not_finished_is_missing(tmp_path: Path, smoke_run: Run) -> None:
    smoke = preset("smoke")
    with_codes = Run.create(tmp_path / "with", smoke, 0)
    without = Run.create(tmp_path / "without", replace(smoke, codes=CodesConfig()), 0)
    assert analysis("belief").missing(with_codes) == "base"
    for run in (with_codes, without):
        run.stage("base").finish({}, {})
    assert analysis("belief").missing(with_codes) is None
    assert analysis("code-clusters").missing(with_codes) == "codes"
    assert analysis("code-clusters").missing(without) == "metacontroller"
    assert analysis("atlas-controllers").missing(without) == "controllers"
    assert analysis("learning").missing(without) == "internal-rl"
    without.stage("raw-rl").finish({}, {})
    assert analysis("learning").missing(without) is None
    assert {one.missing(smoke_run) for one in ANALYSES.values()} == {None}


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="no analysis 'believe'; did you mean 'belief'"):
        analysis("believe")
    with pytest.raises(UserError, match=r"there are .*belief"):
        analysis("zzz")


def test_an_unfinished_stage_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", preset("smoke"), 0)
    with pytest.raises(
        UserError, match=r"belief needs the stage base of .*irl-lens train base --preset smoke"
    ):
        analyze(run, ["belief"], folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_held_against_another_run_is_not_run(tmp_path: Path) -> None:
    run = find_run("grid")
    with pytest.raises(UserError, match=r"belief holds no two runs .*; atlas, .* do"):
        analyze(run, ["belief"], against=run, folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    bare = Run.create(tmp_path / "run", preset("smoke"), 0)
    with pytest.raises(UserError, match=r"atlas-controllers needs the stage base of .*/run;"):
        analyze(run, ["atlas-controllers"], against=bare, folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_two_runs_are_held_against_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def less(one: Number, other: Number) -> Number:
        return Number(other.value - one.value)

    planted = SimpleNamespace(find=lambda loaded: Number(loaded.run.seed), less=less)
    monkeypatch.setitem(sys.modules, "planted", planted)
    one = Analysis("one", "planted:find", "One", against="planted:less")
    monkeypatch.setitem(ANALYSES, "one", one)
    run, other = find_run("grid"), find_run("grid")
    other.seed = run.seed + 3
    found = analyze(run, ["one"], against=other, folder=tmp_path)
    assert found == {"one-against": Number(3)}
    assert {path.stem for path in tmp_path.iterdir()} == {"one-against"}
    assert analyze(run, ["one"]) == {"one": Number(run.seed)}


def test_figure_table_and_numbers_are_written_with_what_they_were_made_with(
    tmp_path: Path,
) -> None:
    options = ["episodes=64", "layer=2"]
    result = analyze(find_run("grid"), ["belief"], options, folder=tmp_path)["belief"]
    names = {"belief.html", "belief.csv", "belief.json", "belief.npz"}
    assert {path.name for path in tmp_path.iterdir()} == names
    written = json.loads((tmp_path / "belief.json").read_text())
    assert written["caption"] == result.caption() and written["layer"] == 2
    made = written["provenance"]
    assert made["options"] == {"layer": 2, "episodes": 64, "iterations": 100}
    assert made["analysis"] == "belief" and made["runs"] == ["grid"]
    assert made["seeds"] == [find_run("grid").seed]
    assert {"command", "versions", "commit"} <= made.keys()
    assert len(pd.read_csv(tmp_path / "belief.csv")) == 3
    assert result.caption() in (tmp_path / "belief.html").read_text()


def test_an_analysis_of_one_run_is_none_of_several_and_the_other_way_round() -> None:
    assert {*of_runs(several=False), *of_runs(several=True)} == set(ANALYSES)
    with pytest.raises(UserError, match="belief is an analysis of one run: irl-lens analyze RUN"):
        compare("belief", [])
    with pytest.raises(UserError, match="of several runs: irl-lens compare control-depth RUN"):
        analyze(find_run("grid"), ["control-depth"])


def test_a_wrong_option_is_refused_before_anything_is_run(tmp_path: Path) -> None:
    for options, said in (
        (["episode=64"], "belief has no option 'episode'; did you mean 'episodes'"),
        (["rows=64"], "there are layer=none, episodes=1024, iterations=100"),
        (["episodes=0"], "belief: episodes = 0; take a whole number from 1"),
    ):
        with pytest.raises(UserError, match=said):
            analyze(find_run("grid"), ["belief"], options, folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_options_are_given_on_the_command_line(
    smoke_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["analyze", str(smoke_run.folder), "patching", "--out", str(tmp_path), "--set"]
    cli.main([*command, "pairs=2", "pool=2", "lags=2", "components=head z,mlp out"])
    assert capsys.readouterr().out.startswith("patching: ")
    options = json.loads((tmp_path / "patching.json").read_text())["provenance"]["options"]
    assert options["pairs"] == 2 and options["components"] == ["head z", "mlp out"]
    with pytest.raises(SystemExit) as stop:
        cli.main([*command, "layer=2"])
    assert stop.value.code == 2 and "patching has no option 'layer'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["pretraining", "floor", "probes", "gate", "codes", "success"])
def test_what_the_report_shows_can_be_asked_for(name: str, smoke_run: Run, tmp_path: Path) -> None:
    result = analyze(smoke_run, [name], folder=tmp_path)[name]
    assert result.caption() and result.claims() and len(result.to_dataframe())
    assert result.figure().data
    assert result.caption() in unescape((tmp_path / f"{name}.html").read_text())
