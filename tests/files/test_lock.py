"""A run's folder belongs to one process at a time, and to nobody once that has ended."""

from __future__ import annotations

import errno
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from irl_lens import cli
from irl_lens.config.presets import PRESETS
from irl_lens.errors import UserError
from irl_lens.files.lock import FILES, BusyError, locked
from irl_lens.progress import QuietProgress
from irl_lens.runs.run import Run
from irl_lens.training.pretrain import pretrain

LONG = ("pretrain.steps=100000", "controllers.steps=3")


def _start(folder: Path) -> subprocess.Popen[bytes]:
    """A process that trains, and has begun to."""
    command = [sys.executable, "-m", "irl_lens", "train", "base", "--preset", "smoke"]
    process = subprocess.Popen([*command, "--out", str(folder), "--set", *LONG])
    while not (folder / "base" / "metrics.jsonl").exists():
        assert process.poll() is None
        time.sleep(0.02)
    return process


def test_a_second_process_is_refused_until_the_first_has_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    process = _start(folder)
    try:
        config = (folder / "config.json").read_bytes()
        run = Run.open(folder)
        for settings in (LONG, (LONG[0], "controllers.steps=4")):
            for command in (["run", "smoke"], ["train", "base", "--preset", "smoke"]):
                with pytest.raises(SystemExit) as stop:
                    cli.main([*command, "--out", str(folder), "--set", *settings])
                said = capsys.readouterr().err
                assert stop.value.code == 2 and len(said.splitlines()) == 1
                assert f"process {process.pid} on {platform.node()} since 2" in said
        with pytest.raises(BusyError, match=f"process {process.pid} "):
            pretrain(run, QuietProgress())
        with pytest.raises(BusyError, match=f"process {process.pid} "):
            run.take_base(_finished(tmp_path / "other", run))
        assert (folder / "config.json").read_bytes() == config
        assert run.stage("base").metrics()[0]["step"] == 1  # and no log was cut
        assert Run.create(folder, run.preset, run.seed).preset == run.preset  # for reading
    finally:
        process.kill()
        process.wait()
    assert f'"pid": {process.pid}' in (folder / FILES[1]).read_text()  # as it was killed
    with locked(folder):
        assert f'"pid": {process.pid}' not in (folder / FILES[1]).read_text()


def _finished(folder: Path, like: Run) -> Run:
    run = Run.create(folder, like.preset, seed=5)
    run.stage("base").finish({}, {})
    return run


def test_a_command_has_the_run_to_itself_from_its_settings_to_its_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _finished(tmp_path / "run", Run.create(tmp_path / "like", PRESETS["smoke"], 0)).folder
    command = ["train", "base", "--preset", "smoke", "--seed", "5", "--out", str(folder)]
    cli.main(command)  # there is nothing left to do
    assert capsys.readouterr().out == f"{folder / 'base'}\n"

    def refused() -> None:
        with pytest.raises(SystemExit):
            cli.main(command)
        said.append(capsys.readouterr())

    said: list[Any] = []
    with locked(folder):
        _in_thread(refused)
    assert f"process {os.getpid()} on" in said[0].err and said[0].out == ""


def test_a_file_system_without_locks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")

    def none(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with pytest.raises(UserError, match=r"file system without locks.*--out"), locked(tmp_path):
        pass


def test_a_thread_may_lock_again_what_it_has_and_no_other_thread(tmp_path: Path) -> None:
    def steal() -> None:
        try:
            with locked(tmp_path):
                stolen.append(True)
        except BusyError:
            stolen.append(False)

    stolen: list[bool] = []
    with locked(tmp_path):
        with locked(tmp_path / "." / ".." / tmp_path.name):
            pass
        _in_thread(steal)
    _in_thread(steal)
    assert stolen == [False, True]


def _in_thread(call: Callable[[], None]) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


def test_a_lock_is_no_part_of_the_run(tmp_path: Path) -> None:
    smoke = PRESETS["smoke"]
    with locked(tmp_path / "run"):  # before there is anything else
        (tmp_path / "run" / ".config.json.123.tmp").write_text("{")  # of one that was killed
        run = Run.create(tmp_path / "run", smoke, seed=0)
    assert Run.create(run.folder, smoke, seed=0).preset == smoke
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("")
    with pytest.raises(UserError, match="no run folder"):
        Run.create(tmp_path / "thesis", smoke, seed=0)
    with pytest.raises(SystemExit):
        cli.main(["run", "smoke", "--out", str(tmp_path / "thesis")])
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["thesis.tex"]
