"""Findings are ranked as they should be, and a scan leaves what it has done."""

from __future__ import annotations

import re
import sys
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from irl_lens import cli
from irl_lens.analyses.core.analysis import Analysis
from irl_lens.analyses.core.claims import Claim
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.registry import ANALYSES, of_runs
from irl_lens.analyses.report.scan import (
    LONGEST,
    SMALL,
    options,
    rank,
    scan,
    scanned,
    small_samples,
)
from irl_lens.analyses.report.scan_page import page, write_scan
from irl_lens.files.tensors import CheckpointError
from irl_lens.progress import QuietProgress
from irl_lens.runs.run import Run

FEW: dict[str, Any] = {
    name: ANALYSES[name] for name in ("belief", "boundary-detection", "code-clusters")
}


def test_findings_come_first_by_size_then_what_was_not_tested_then_chance() -> None:
    claims = {
        "small": Claim("", 0.1, 1e-4),
        "luck": Claim("", 0.9, 0.4),
        "untested": Claim("", 0.8),
        "large": Claim("", -0.7, 1e-3),
        "nothing": Claim("", 0.0, 0.9),
        "unmeasured": Claim("", nan, 1e-9),
    }
    ranked = rank(list(claims.items()))
    names = ["large", "small", "unmeasured", "untested", "luck", "nothing"]
    assert [finding.name for finding in ranked] == names
    assert [finding.group for finding in ranked] == [0, 0, 0, 1, 2, 2]
    # Of five tested ones it has the third smallest p: q = 5 / 3 p.
    assert str(ranked[0]) == "large:  [effect -0.70, q 0.0017]"
    assert str(ranked[3]).endswith("[not tested]") and str(ranked[4]).endswith("[may be chance]")
    assert rank([]) == ()


def test_the_first_lines_are_of_different_analyses_and_sum_the_others_up() -> None:
    many = [("many", Claim(f"{i}", 0.9 - i / 100, 1e-6)) for i in range(6)]
    few = [(name, Claim("", 0.1, 1e-6)) for name in ("a", "b", "c")]
    chance = [("many", Claim("luck", 0.5, 0.8)), ("idle", Claim("", 0.5, 0.9))]
    ranked = rank([*many, *few, *chance, ("many", Claim("untested"))])
    names = [finding.name for finding in ranked]
    assert names[:6] == ["many", "a", "b", "c", "many", "idle"] and set(names[6:]) == {"many"}
    assert str(ranked[0]).endswith("(more of many: 5 found, 1 not tested, 1 may be chance)")
    assert ranked[4].claim.sentence == "1" and "more" not in str(ranked[4])
    assert len(ranked) == 12


def test_where_nothing_is_next_to_nothing_is_found() -> None:
    rng = np.random.default_rng(0)
    scans = [
        rank([("null", Claim("", float(e), float(p))) for e, p in rng.random((40, 2))])
        for _ in range(100)
    ]
    # In at most 5 % of scans is anything found, though in 87 % some p is below 0.05.
    assert sum(any(finding.group == 0 for finding in found) for found in scans) <= 10


def test_what_is_planted_among_nothing_is_found() -> None:
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(50):
        nulls = [("null", Claim("", 0.5, float(p))) for p in rng.random(30)]
        planted = [("planted", Claim("", 0.4, 1e-3)) for _ in range(3)]
        ranked = rank([*nulls[:20], *planted, *nulls[20:]])
        found = [finding.name for finding in ranked if finding.group == 0]
        assert found.count("planted") == 3
        shares.append(found.count("null") / len(found))
    assert np.mean(shares) < 0.1


def test_a_long_sentence_is_cut() -> None:
    (finding,) = rank([("long", Claim("word " * 200))])
    assert len(str(finding)) < LONGEST + 40 and " ... [not tested]" in str(finding)


@pytest.mark.parametrize("name", ANALYSES)
def test_small_options_are_options_and_no_larger_than_the_usual_ones(name: str) -> None:
    small = options(ANALYSES[name])
    assert small.keys() <= SMALL.keys()
    assert all(isinstance(value, type(SMALL[key])) for key, value in small.items())


def test_what_says_nothing_of_one_run_is_not_scanned() -> None:
    left = {name for name in of_runs(several=True) if name not in scanned()}
    assert left == {"control-ranks", "control-depth", "rate-distortion", "baselines"}
    assert not {"gate", "codes", "learning"} & scanned().keys()  # others look more closely


def test_samples_are_small(smoke_run: Run) -> None:
    assert small_samples(smoke_run).sizes == smoke_run.preset.evaluation  # smaller still
    values = smoke_run.preset.to_dict() | {"evaluation": {"trajectories": 4_096, "rollouts": 96}}
    large = small_samples(Run(smoke_run.folder, smoke_run.config | {"preset": values})).sizes
    assert (large.trajectories, large.rollouts, large.probe_iterations) == (256, 96, 30)


def test_a_scan_is_one_page_that_fetches_nothing(smoke_run: Run, tmp_path: Path) -> None:
    found = scan(smoke_run, QuietProgress(), FEW)
    assert [look.name for look in found.looks] == list(FEW) and not found.left
    assert {finding.name for finding in found.findings} == set(FEW)
    text = write_scan(found, tmp_path / "scan.html").read_text()
    own = re.sub(r'<script type="text/plain".*?</script>', "", text, flags=re.DOTALL)
    assert len(text) - len(own) > 1_000_000  # plotly.js, once
    assert text.count('class="figure"') >= 3
    assert not re.search(r"<(script|img|iframe|link)[^>]*\s(src|href)=", text)
    for name in FEW:
        assert f'href="#{name}"' in own and f'id="{name}"' in own


def test_what_moves_waits_to_be_played(smoke_run: Run, tmp_path: Path) -> None:
    found = scan(smoke_run, QuietProgress(), {"rollout": ANALYSES["rollout"]})
    text = write_scan(found, tmp_path / "scan.html").read_text()
    own = re.sub(r'<script type="text/plain".*?</script>', "", text, flags=re.DOTALL)
    assert '"frames":[{' in own and "Plotly.animate(" not in own


class Interrupted(QuietProgress):
    """Ctrl-C when one analysis is done."""

    def update(self, step: int, **shown: float) -> None:
        raise KeyboardInterrupt


def test_ctrl_c_leaves_what_is_done(smoke_run: Run) -> None:
    found = scan(smoke_run, Interrupted(), FEW)
    assert [look.name for look in found.looks] == ["belief"]
    assert found.left == ("boundary-detection", "code-clusters")
    text = page(found)
    assert "stopped before: boundary-detection, code-clusters" in text and 'id="belief"' in text


def test_what_cannot_be_done_says_why(smoke_run: Run, tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", smoke_run.preset, smoke_run.seed)
    with pytest.raises(CheckpointError, match="base"):
        scan(run, QuietProgress(), FEW)
    base = smoke_run.stage("base")
    run.stage("base").finish(base.weights(), base.result)
    entries = FEW | {name: ANALYSES[name] for name in ("learning-methods", "rate-distortion")}
    found = scan(run, QuietProgress(), entries)
    why = {look.name: look.why for look in found.looks}
    assert why["belief"] == ""
    assert why["code-clusters"] == "the stage codes is not finished"
    assert "no finished reinforcement learning" in why["learning-methods"]
    assert "metacontroller" in why["rate-distortion"]
    assert "left out: the stage codes is not finished" in page(found)


def broken(loaded: LoadedRun) -> Result:
    """An analysis with a bug."""
    raise ZeroDivisionError("of nothing by nothing")


def test_a_bug_in_one_does_not_take_the_others_along(
    smoke_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "broken", sys.modules[__name__])
    entries = {"broken": Analysis("broken", "broken:broken", "Broken"), "belief": FEW["belief"]}
    found = scan(smoke_run, QuietProgress(), entries)
    assert [look.why for look in found.looks] == ["ZeroDivisionError: of nothing by nothing", ""]
    assert "left out: ZeroDivisionError: of nothing by nothing" in page(found)


@pytest.mark.slow
def test_every_analysis_can_be_scanned(
    smoke_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["scan", str(smoke_run.folder), "--out", str(tmp_path / "scan.html")])
    said = capsys.readouterr()
    assert "was left out" not in said.err
    lines = said.out.splitlines()
    assert len(lines) == 11 and [line.split(".")[0] for line in lines[:10]] == [
        str(n) for n in range(1, 11)
    ]
    assert lines[-1] == str(tmp_path / "scan.html")
    text = (tmp_path / "scan.html").read_text()
    assert all(f'id="{name}"' in text for name in scanned())
