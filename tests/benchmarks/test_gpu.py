"""The script of what wants a graphics card, its parts of tiny sizes on a processor."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.sh"


def run(*told: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"SMALL": "1", "PYTHON": sys.executable}
    command = ["bash", str(SCRIPT), *told]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_it_wants_to_know_where_to() -> None:
    ended = run()
    assert ended.returncode == 2 and "usage: benchmarks/gpu.sh OUT [DEVICE]" in ended.stderr


@pytest.mark.slow
def test_parts_are_tried_whatever_became_of_those_before_and_are_not_repeated(
    tmp_path: Path,
) -> None:
    (tmp_path / "run").write_text("in the way")
    ended = run(str(tmp_path), "cpu")
    assert ended.returncode == 1 and "== speed: exit status 0" in ended.stdout, ended.stderr
    assert "== base: exit status 0" not in ended.stdout
    assert " passed" in (tmp_path / "tests.log").read_text()
    assert (tmp_path / "benchmarks.json").is_file()
    (tmp_path / "run").unlink()
    ended = run(str(tmp_path), "cpu")
    assert ended.returncode == 0 and "== base: exit status 0" in ended.stdout, ended.stderr
    assert "== tests" not in ended.stdout and "== speed" not in ended.stdout
    assert (tmp_path / "run" / "base" / "weights.safetensors").is_file()


@pytest.mark.slow
def test_a_device_that_is_not_there_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    ended = run(str(tmp_path), "cuda:99")
    assert ended.returncode == 2 and "device 'cuda:99': " in ended.stderr
    assert list(tmp_path.iterdir()) == []
