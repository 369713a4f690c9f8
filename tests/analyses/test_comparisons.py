"""What ``irl-lens compare`` knows, and what it writes."""

from __future__ import annotations

import json
from pathlib import Path
from pkgutil import resolve_name

import pandas as pd
import pytest

from irl_lens import cli
from irl_lens.analyses.comparisons import COMPARISONS, comparison
from irl_lens.analyses.registry import CATALOGUE
from irl_lens.errors import UserError
from irl_lens.runs.run import Run


@pytest.mark.parametrize("name", COMPARISONS)
def test_every_name_leads_to_a_function_and_is_no_other_analysis(name: str) -> None:
    assert callable(resolve_name(COMPARISONS[name].where))
    assert COMPARISONS[name].title and name not in CATALOGUE


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no analysis 'lerning' .*did you mean 'learning'"):
        comparison("lerning")
    with pytest.raises(UserError, match="there are control-depth, control-ranks, learning, rate"):
        comparison("zzz")


@pytest.mark.parametrize("name", COMPARISONS)
def test_figure_table_and_numbers_are_written(
    name: str, smoke_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["compare", name, str(smoke_run.folder), "--out", str(tmp_path)])
    said = capsys.readouterr().out.strip()
    caption = json.loads((tmp_path / f"{name}.json").read_text())["caption"]
    assert said == f"{name}: {caption}"
    assert len(pd.read_csv(tmp_path / f"{name}.csv"))
    assert "Plotly.newPlot(" in (tmp_path / f"{name}.html").read_text()


def test_without_a_name_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["compare"])
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == list(COMPARISONS)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("learning",), "at least one run"),
        (("lerning", "grid"), "did you mean 'learning'"),
        (("learning", "nowhere"), "neither a run folder nor a bundled model"),
    ],
)
def test_mistakes_are_said(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["compare", *arguments, "--out", str(tmp_path / "out")])
    assert stop.value.code == 2 and said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
