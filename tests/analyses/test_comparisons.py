"""What ``irl-lens compare`` knows, and what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from irl_lens import cli
from irl_lens.analyses.registry import analysis, of_runs
from irl_lens.errors import UserError
from irl_lens.runs.run import Run

SEVERAL = list(of_runs(several=True))


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        UserError,
        match=r"no analysis 'lerning-methods' of several .*did you mean 'learning-methods'",
    ):
        analysis("lerning-methods", several=True)
    with pytest.raises(
        UserError, match="there are control-depth, control-ranks, learning-methods, baselines, rate"
    ):
        analysis("zzz", several=True)


@pytest.mark.parametrize("name", SEVERAL)
def test_figure_table_and_numbers_are_written(
    name: str, smoke_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["compare", name, str(smoke_run.folder), "--out", str(tmp_path)])
    said = capsys.readouterr().out.strip()
    caption = json.loads((tmp_path / f"{name}.json").read_text())["caption"]
    assert said == f"{name}: {caption}\n{tmp_path / name}.html"
    assert len(pd.read_csv(tmp_path / f"{name}.csv"))
    assert 'class="figure"' in (tmp_path / f"{name}.html").read_text()


def test_without_a_name_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["compare"])
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == SEVERAL


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("learning-methods",), "at least one run"),
        (("lerning-method", "grid"), "did you mean 'learning-methods'"),
        (("learning-methods", "nowhere"), "neither a run folder nor a bundled model"),
        (("rate-distortion", "grid", "--set", "episode=4"), "did you mean 'episodes'?"),
    ],
)
def test_mistakes_are_said(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["compare", *arguments, "--out", str(tmp_path / "out")])
    assert stop.value.code == 2 and said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
