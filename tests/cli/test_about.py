"""Commands about the program itself: version, settings, doctor, completion."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import irl_lens
from irl_lens import cli
from irl_lens.commands import doctor
from irl_lens.runs import folder


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    cli.main(arguments)
    return capsys.readouterr().out


def test_the_version_is_the_package_s(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "--version") == f"irl-lens {irl_lens.__version__}\n"


def test_settings_are_listed_for_people_and_programs(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "settings", "smoke").splitlines()
    assert "base.d_model=32  (a whole number from 1 to 8,192)" in lines
    found = json.loads(printed(capsys, "settings", "smoke", "--json"))
    assert found["preset"] == "smoke"
    assert sum(not line.startswith(" ") for line in lines) == len(found["settings"])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script_that_knows_all_commands(
    shell: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["completion", shell])
    script = capfd.readouterr().out
    assert stop.value.code in (0, None)
    for command in ("run", "doctor", "completion", "summary"):
        assert f"'{command}'" in script
    if program := shutil.which(shell):
        subprocess.run([program, "-n"], input=script, text=True, check=True)


def test_bash_completes_a_command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["completion", "bash"])
    (tmp_path / "script").write_text(capfd.readouterr().out)
    ask = "COMP_WORDS=(irl-lens sett); COMP_CWORD=1; _tyro_irl_lens; echo ${COMPREPLY[@]}"
    command = ["bash", "-c", f"source {tmp_path}/script; {ask}"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["settings"]


def test_who_stops_reading_ends_the_command_quietly() -> None:
    command = [sys.executable, "-m", "irl_lens", "settings"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 141


def test_the_doctor_exits_with_1_if_something_is_wrong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = tmp_path / "bundled"
    shutil.copytree(folder._BUNDLED / "grid" / "codes", models / "grid" / "codes")
    for name in ("config.json", "evaluation.json"):
        shutil.copy(folder._BUNDLED / "grid" / name, models / "grid" / name)
    weights = models / "grid" / "codes" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    monkeypatch.setattr(folder, "_BUNDLED", models)
    monkeypatch.setattr(doctor, "DRAW", "import sys; sys.exit('no EGL here')")
    with pytest.raises(SystemExit) as stop:
        cli.main(["doctor", "--json"])
    assert stop.value.code == 1
    told = json.loads(capsys.readouterr().out)
    checks = {check["name"]: check for check in told["checks"]}
    assert "model grid" in told["wrong"] and str(weights) in checks["model grid"]["found"]
    assert checks["OpenGL"]["verdict"] == "absent" and "no EGL" in checks["OpenGL"]["found"]
    assert {"irl-lens", "Python", "cores", "threads", "graphics card", "disk"} <= checks.keys()
    assert all(check["remedy"] for check in told["checks"] if check["verdict"] != "ok")


def test_the_doctor_finds_the_models_in_the_box_sound() -> None:
    assert {check.verdict for check in doctor.bundled_models()} == {"ok"}


def test_the_doctor_has_worlds_drawn() -> None:
    (check,) = doctor.drawing()
    assert check.verdict == "ok" and "AntPinpad-v0 480 x 480" in check.found


def test_a_library_must_be_there_in_a_version_that_is_known_to_do() -> None:
    assert doctor._library("numpy", ">=2.0").verdict == "ok"
    old = doctor._library("numpy", ">=99")
    assert old.verdict == "wrong" and old.remedy == 'pip install "numpy>=99"'
    assert doctor._library("no-such-library-of-ours", "").found == "not installed"


def test_a_check_that_fails_is_told_and_stops_no_other() -> None:
    def broken():
        raise ImportError("libtorch.so: cannot open shared object file")
        yield

    (check,) = doctor._surviving(broken)
    assert check.verdict == "wrong" and "libtorch.so" in check.found
