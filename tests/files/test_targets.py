"""Where files are written: regular files and free places, links followed, nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from irl_lens import cli
from irl_lens.errors import UserError
from irl_lens.files.targets import require_empty, require_writable
from irl_lens.files.tensors import write_bytes
from irl_lens.hooks.files.save_load import write


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A folder with what is no regular file."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "device").symlink_to("/dev/null")
    (tmp_path / "loop").symlink_to("loop")
    return tmp_path


ODD = {"pipe": "pipe", "folder": "folder", "device": "device", "loop": "symbolic link"}


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_regular_file_is_refused_and_stays(odd: Path, name: str) -> None:
    before = {path: path.lstat().st_mode for path in odd.iterdir()}
    for refuse in (require_writable, lambda path: write_bytes(path, b"x")):
        with pytest.raises(UserError, match=f"{name} is a.*{ODD[name]}"):
            refuse(odd / name)
    with pytest.raises(OSError, match=name):
        write(odd / name, b"x")
    assert {path: path.lstat().st_mode for path in odd.iterdir()} == before


@pytest.mark.parametrize("put", [write_bytes, write])
def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path, put) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("there", "free"):
        (tmp_path / name).symlink_to(Path("elsewhere") / name)
    (elsewhere / "there").write_text("old")
    for name in ("there", "free"):
        put(tmp_path / name, b"new")
        assert (tmp_path / name).is_symlink()
        assert not (elsewhere / name).is_symlink()
        assert (elsewhere / name).read_bytes() == b"new"
    assert len(list(tmp_path.rglob("*"))) == 5  # and nothing temporary


def test_a_place_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    require_writable(tmp_path / "file")
    require_writable(tmp_path / "deep" / "free")
    assert (tmp_path / "file").read_text() == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    with pytest.raises(UserError, match="file is no folder"):
        require_writable(tmp_path / "file" / "below")
    with pytest.raises(OSError) as caught:
        require_writable(tmp_path / ("n" * 300))
    assert caught.value.filename == str(tmp_path / ("n" * 300))


def test_a_folder_to_be_filled_is_tried_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "empty").mkdir()
    for name in ("empty", "new", "deep/new"):
        require_empty(tmp_path / name)
    assert {path.name for path in tmp_path.rglob("*")} == {"file", "empty"}
    with pytest.raises(UserError, match="file is no folder"):
        require_empty(tmp_path / "file" / "below")
    for name in (".", "file"):
        with pytest.raises(UserError, match="is not empty; give another folder"):
            require_empty(tmp_path / name)


def test_temporary_files_of_processes_that_are_gone_go(tmp_path: Path) -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    alive = os.getppid()
    kept = {f".a[1].{alive}.tmp", f".b.{done.pid}.tmp", ".a[1].x.tmp"}
    for name in (*kept, f".a[1].{done.pid}.tmp"):
        (tmp_path / name).write_text("half")
    write_bytes(tmp_path / "a[1]", b"whole")
    assert {path.name for path in tmp_path.iterdir()} == {"a[1]", *kept}


@pytest.mark.parametrize(
    "command",
    [("evaluate", "grid"), ("report", "grid"), ("scan", "grid"), ("conformance",)],
)
def test_commands_say_before_the_work_that_they_cannot_write(
    odd: Path, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([*command, "--out", str(odd / "device")])
    said = capsys.readouterr()
    assert stop.value.code == 2 and said.out == ""
    assert f"{odd / 'device'} is a device" in said.err and len(said.err.splitlines()) == 1


@pytest.mark.parametrize(
    "command",
    [("analyze", "grid", "code-clusters"), ("compare", "learning-methods", "grid", "grid")],
)
def test_commands_that_write_a_folder_say_so_too(
    tmp_path: Path, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(SystemExit) as stop:
        cli.main([*command, "--out", str(tmp_path / "taken")])
    said = capsys.readouterr()
    assert stop.value.code == 2 and said.out == ""
    assert "taken is no folder" in said.err and len(said.err.splitlines()) == 1
