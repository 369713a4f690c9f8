"""All numbers of a run and its report, from a run of a few steps a stage."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from irl_lens.analyses.report.evaluate import HEADLINES, evaluate_run
from irl_lens.analyses.report.report import build_report, write_report
from irl_lens.config.presets import preset
from irl_lens.files.tensors import write_bytes
from irl_lens.progress import QuietProgress
from irl_lens.runs.run import Run, find_run


def test_evaluation_has_every_number_of_the_table_and_is_repeatable(smoke_run: Run) -> None:
    measured = evaluate_run(smoke_run, QuietProgress())
    assert set(HEADLINES) <= set(measured)
    assert all(isinstance(value, float) for value in measured.values())
    assert measured["base.gap_to_bayes"] == pytest.approx(
        measured["base.nll"] - measured["base.nll_bayes"], abs=1e-5
    )
    again = evaluate_run(smoke_run, QuietProgress())
    assert {k: str(v) for k, v in again.items()} == {k: str(v) for k, v in measured.items()}


def test_report_is_one_page_that_fetches_nothing(smoke_run: Run, tmp_path: Path) -> None:
    path = build_report(smoke_run, tmp_path / "report.html")
    page = path.read_text()
    own = re.sub(r'<script type="text/plain".*?</script>', "", page, flags=re.DOTALL)
    assert len(page) - len(own) > 1_000_000  # plotly.js, once
    assert page.count("<!DOCTYPE html>") == 1 and page.count('class="figure"') >= 7
    assert not re.search(r"<(script|img|iframe)[^>]*\ssrc=", page)
    assert not re.search(r"<link[^>]*href=|@import|url\(", own)
    for part in ("preset", "smoke", "versions", "torch", "Bayes", "commit", *HEADLINES):
        assert part in own
    assert "not finished" not in own


def test_unfinished_stages_are_left_out_and_named(smoke_run: Run, tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", smoke_run.preset, smoke_run.seed)
    empty = build_report(run, tmp_path / "empty.html").read_text()
    assert empty.count("is not finished, so nothing is shown") == 6
    assert evaluate_run(run, QuietProgress()) == {}
    base = smoke_run.stage("base")
    run.stage("base").log(1, nll=1.0)
    run.stage("base").finish(base.weights(), base.result)
    measured = evaluate_run(run, QuietProgress())
    assert {name.split(".")[0] for name in measured} == {"base", "probe"}
    page = build_report(run, tmp_path / "base.html").read_text()
    assert page.count("is not finished, so nothing is shown") == 4


def test_pages_of_single_analyses_are_linked(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "a run", preset("smoke"), 0)
    assert "Single analyses" not in build_report(run, tmp_path / "bare.html").read_text()
    for name in ("atlas.html", "belief & more.html", "atlas.csv"):
        write_bytes(run.folder / "analyses" / name, b"")
    write_bytes(run.folder / "scan.html", b"")
    near = build_report(run, run.folder / "report.html").read_text()
    far = build_report(run, tmp_path / "elsewhere" / "report.html").read_text()
    assert '<a href="analyses/atlas.html">atlas</a>' in near and "atlas.csv" not in near
    assert '<a href="scan.html">scan</a>' in near
    assert '<a href="../a%20run/analyses/belief%20%26%20more.html">belief &amp; more</a>' in far


def test_pages_of_a_bundled_model_are_linked_where_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = find_run("grid")
    assert run.beside("analyses") == Path("grid-analyses")
    assert "Single analyses" not in write_report(run, {}, "grid-report.html").read_text()
    write_bytes(run.beside("analyses") / "atlas.html", b"")
    write_bytes(run.beside("scan.html"), b"")
    near = write_report(run, {}, "grid-report.html").read_text()
    far = write_report(run, {}, tmp_path / "else" / "report.html").read_text()
    assert '<a href="grid-analyses/atlas.html">atlas</a>' in near
    assert '<a href="grid-scan.html">grid-scan</a>' in near
    assert '<a href="../grid-analyses/atlas.html">atlas</a>' in far
