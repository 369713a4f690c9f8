"""How a report opens; that something is more is said only where intervals tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from irl_lens.analyses.core.trial import Outcome
from irl_lens.analyses.learning.run_curves import LearningResult
from irl_lens.analyses.learning.success import HeldOutSuccess
from irl_lens.analyses.report.opening import NOTHING, opening
from irl_lens.analyses.report.report import write_report
from irl_lens.analyses.stats.estimates import Estimate
from irl_lens.config.presets import preset
from irl_lens.runs.run import Run

ABOUT = ["Asked", "Base", "Gate and codes", "Held-out task", "How sure"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "run", preset("smoke"), 3)


def outcome(value: float, low: float, high: float) -> Outcome:
    found = Estimate(value, low, high)
    return Outcome(found, found, found, found)


def lines(run: Run, **outcomes: Outcome) -> dict[str, str]:
    learned = LearningResult((), {}, 6, HeldOutSuccess(**outcomes))
    return dict(opening(run, {"learning": learned}))


def test_what_was_not_measured_is_said_to_be_so(run: Run) -> None:
    found = opening(run, {})
    assert [about for about, _ in found] == ABOUT
    assert [said for _, said in found[1:4]] == [NOTHING] * 3
    assert "make a task, 0 1 2 3, of them" in found[0][1]
    assert "seed 3" in found[4][1] and "Not finished: base, controllers" in found[4][1]


@pytest.mark.parametrize(
    ("own", "other", "said"),
    [
        (
            (0.5, 0.4, 0.6),
            (0.1, 0.0, 0.2),
            "(40.0 % to 60.0 %) of solvable boards, more than after",
        ),
        ((0.5, 0.4, 0.6), (0.3, 0.2, 0.4), "neither more nor less, by these intervals, than after"),
        ((0.0, 0.0, 0.1), (0.5, 0.4, 0.6), "less than after raw-action RL, 50.0 %"),
    ],
)
def test_more_is_said_only_where_intervals_are_apart(
    run: Run, own: tuple[float, ...], other: tuple[float, ...], said: str
) -> None:
    drawn, raw = outcome(0.2, 0.1, 0.3), outcome(*other)
    found = lines(run, internal=drawn, internal_mean=outcome(*own), raw=raw)
    assert said in found["Held-out task"]


def test_one_kind_of_reinforcement_learning_is_held_against_nothing(run: Run) -> None:
    found = lines(run, raw=outcome(0.5, 0.4, 0.6))
    assert found["Held-out task"].startswith("After raw-action RL it is done on 50.0 %")
    assert "than" not in found["Held-out task"]


def test_the_page_has_them_an_index_and_the_world(run: Run, tmp_path: Path) -> None:
    text = write_report(run, {}, tmp_path / "report.html").read_text()
    assert all(f"<dt>{about}</dt>" in text for about in ABOUT)
    assert "Stepping on a colour that is not the next one" in text and text.count("<svg") == 1
    assert text.count("How sure") == 1 < text.count("is not finished, so nothing is shown")
    for name in ("world", "section-1", "section-6", "numbers", "record"):
        assert f'<a href="#{name}">' in text and f'<h2 id="{name}">' in text
