"""Watching a run: what is drawn, and that it leaves the run alone."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from math import inf, nan
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irl_lens import cli
from irl_lens.commands import watching
from irl_lens.files.lock import locked
from irl_lens.runs import standing_text
from irl_lens.runs.run import Run

NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    cli.main(["watch", *arguments])
    return capsys.readouterr().out


def test_curves_go_up_and_down_with_the_numbers() -> None:
    assert standing_text.curve([0, 1, 2, 3, 4, 5, 6, 7]) == standing_text.BLOCKS
    assert standing_text.curve([7, 0], "_^") == "^_"
    assert standing_text.curve([1, 3, 8, 8], "_-^", width=2) == "_^"
    assert standing_text.curve([5, 5]) == "▁▁" and standing_text.curve([nan, 1, inf, 2]) == " ▁ █"


@given(NUMBERS, st.integers(1, 50))
def test_a_curve_has_a_character_for_each_part(values: list[float], width: int) -> None:
    drawn = standing_text.curve(values, width=width)
    assert len(drawn) == min(width, len(values)) and set(drawn) <= set(standing_text.BLOCKS)
    if len(values) <= width and values[0] == max(values) > min(values):
        assert drawn[0] == standing_text.BLOCKS[-1]


def test_durations_are_in_their_two_largest_units() -> None:
    told = [standing_text.duration(seconds) for seconds in (0.4, 59, 60, 3_580, 7_260)]
    assert told == ["0 s", "59 s", "1 min", "1 h 00 min", "2 h 01 min"]


def test_without_a_terminal_it_is_printed_once(
    smoke_run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    with locked(smoke_run.folder):
        out = said(capsys, str(smoke_run.folder))
        found = json.loads(said(capsys, str(smoke_run.folder), "--json"))["runs"][0]
    assert f"process {os.getpid()}" in out and "3 of 3" in out and "zero_batches" in out
    assert found["process"]["pid"] == os.getpid() and found["finished"]
    assert found["stages"][0]["last"]["step"] == 30
    assert "; finished" in said(capsys, str(smoke_run.folder))
    assert "internal-rl/prefix-4" in said(capsys, "grid")


def test_a_folder_of_runs_is_a_line_each(
    smoke_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(smoke_run.folder, tmp_path / "one")
    Run.create(tmp_path / "two", smoke_run.preset, 1)
    with pytest.raises(SystemExit) as stop:
        cli.main(["watch", str(tmp_path / "two" / "base")])
    assert stop.value.code == 2
    lines = said(capsys, str(tmp_path)).splitlines()
    assert [line.split()[-1] for line in lines] == ["finished", "yet"]


def test_it_looks_until_nobody_trains_any_more(smoke_run: Run) -> None:
    looks = watching.looks([smoke_run], 0.01)
    with locked(smoke_run.folder):
        assert [bool(next(looks)[0].process) for _ in range(3)] == [True] * 3
    assert [[run.process for run in found] for found in looks] == [[None]]


def test_lines_fit_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    _, *lines = said(capsys, "grid").splitlines()  # the first is the folder
    assert max(map(len, lines)) <= 80


@pytest.mark.slow
def test_ctrl_c_ends_the_watching_alone(smoke_run: Run) -> None:
    """On a terminal, of a run that this process has, as one that trains in it would."""
    command = [sys.executable, "-m", "irl_lens", "watch", str(smoke_run.folder), "--every", "0.1"]
    ours, theirs = pty.openpty()
    with locked(smoke_run.folder), subprocess.Popen(command, stdout=theirs, stderr=theirs) as who:
        os.close(theirs)
        seen = b""
        while seen.count(b"raw-rl, to step") < 3:
            seen += os.read(ours, 65_536)
        who.send_signal(signal.SIGINT)
        try:
            while seen_last := os.read(ours, 65_536):
                seen += seen_last
        except OSError:  # the other end is closed
            pass
        assert who.wait(30) == 0
    os.close(ours)
    assert b"Traceback" not in seen


@pytest.mark.slow
def test_it_ends_with_the_training(tmp_path: Path) -> None:
    out = str(tmp_path / "run")
    train = [sys.executable, "-m", "irl_lens", "train", "base", "--preset", "smoke", "--out", out]
    with subprocess.Popen([*train, "--set", "pretrain.steps=300"]) as trainer:
        while not (tmp_path / "run" / "base" / "metrics.jsonl").exists():
            time.sleep(0.1)
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "irl_lens", "watch", out, "--every", "0.1"]
        with subprocess.Popen(command, stdout=theirs, stderr=theirs) as watcher:
            os.close(theirs)
            seen = b""
            try:
                while more := os.read(ours, 65_536):
                    seen += more
            except OSError:  # the other end is closed
                pass
            assert watcher.wait(30) == 0
        os.close(ours)
        assert trainer.wait(60) == 0
    # The run has more stages than the one that was trained.
    assert b" left" in seen and b"nobody trains in it" in seen
