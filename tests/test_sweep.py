"""Sweeps of settings and seeds, and bases that several runs share."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import irl_lens
from irl_lens import cli
from irl_lens.config.overrides import changed, combinations
from irl_lens.config.presets import PRESETS
from irl_lens.errors import UserError
from irl_lens.runs.run import Run
from irl_lens.training.discovery import kl_weight


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of which nothing but the base is trained, with seed 7."""
    folder = tmp_path_factory.mktemp("base") / "run"
    train("base", folder, "--seed", "7", "--set", "pretrain.steps=2")
    return folder


def train(stage: str, folder: Path, *more: str) -> None:
    cli.main(["train", stage, "--preset", "smoke", "--out", str(folder), *more])


def swept(folder: Path, base: Path, steps: int = 2, seeds: tuple[str, ...] = ("0",)) -> list[Path]:
    over = ("discovery.alpha=0,0.1", "discovery.alpha=0,0.5")
    settings = ("pretrain.steps=2", f"discovery.steps={steps}", "evaluation.trajectories=8")
    command = ["sweep", "metacontroller", "--preset", "smoke", "--base", str(base)]
    command += ["--out", str(folder), "--over", *over, "--seeds", *seeds, "--set", *settings]
    cli.main(command)
    return sorted(folder.iterdir())


def weights(folder: Path, stage: str) -> bytes:
    return (folder / stage / "weights.safetensors").read_bytes()


def test_combinations_are_all_of_them() -> None:
    assert combinations(["a=1", "b=x", "a=2", "b=y"]) == [
        ("a=1", "b=x"),
        ("a=1", "b=y"),
        ("a=2", "b=x"),
        ("a=2", "b=y"),
    ]
    assert combinations([]) == [()]


def test_knots_of_alpha_are_given_one_after_the_other() -> None:
    one = changed(PRESETS["smoke"], ["discovery.alpha=0,0.17"])
    assert kl_weight(one.discovery.alpha, 0.6) == 0.17
    two = changed(PRESETS["smoke"], ["discovery.alpha=0,1e-3,1,0.1"])
    assert two.discovery.alpha == ((0.0, 1e-3), (1.0, 0.1))


def test_a_sweep_is_runs_that_share_a_base(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = swept(tmp_path / "sweep", base, seeds=("0", "3"))
    wanted = [(alpha, seed) for alpha in (0.1, 0.5) for seed in (0, 3)]
    assert [f.name for f in folders] == [f"discovery.alpha=0,{a}_seed{s}" for a, s in wanted]
    table = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in table] == [[str(folder), "done"] for folder in folders]
    for folder, (alpha, seed) in zip(folders, wanted, strict=True):
        run = Run.open(folder)
        assert (run.seed, run.preset.discovery.alpha) == (seed, ((0.0, alpha),))
        assert weights(folder, "base") == weights(base, "base")
        assert run.stage("base").result == Run.open(base).stage("base").result
        assert list(run.finished()) == ["base", "metacontroller"]
    assert len({weights(folder, "metacontroller") for folder in folders}) == 4
    written = (folders[0] / "metacontroller" / "result.json").stat().st_mtime_ns
    swept(tmp_path / "sweep", base, seeds=("0", "3"))  # done: nothing to do
    assert capsys.readouterr().out.count("done before") == 4
    assert (folders[0] / "metacontroller" / "result.json").stat().st_mtime_ns == written


def test_runs_at_the_same_time_are_the_same_and_one_that_fails_is_no_end_of_the_others(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["pretrain.steps=2", "discovery.steps=2", "evaluation.trajectories=8"]
    given: dict[str, Any] = {"base": base, "threads": 1, "settings": settings}
    busy = ["metacontroller", "--preset", "smoke", "--base", str(base), "--threads", "1"]
    busy += ["--seeds", "0", "1", "--workers", "2", "--out", str(tmp_path / "at-once"), "--json"]
    (tmp_path / "at-once").mkdir()
    (tmp_path / "at-once" / "seed1").write_text("a file, where a folder is wanted")
    with pytest.raises(SystemExit) as stop:
        cli.main(["sweep", *busy, "--set", *settings])
    told = capsys.readouterr()
    runs = json.loads(told.out)["runs"]
    assert stop.value.code == 1 and "1 of 2 runs failed" in told.err
    assert [run["state"] for run in runs] == ["done", "failed"]
    assert "seed1" in runs[1]["why"]
    (one,) = irl_lens.sweep(["metacontroller"], "smoke", out=tmp_path / "alone", **given)
    assert weights(tmp_path / "at-once" / "seed0", "metacontroller") == weights(
        one.folder, "metacontroller"
    )
    command = Run.open(tmp_path / "at-once" / "seed0").config["command"]
    assert command == Run.open(one.folder).config["command"]
    with pytest.raises(UserError, match=r"1 of 1 runs failed.*seed1: "):
        irl_lens.sweep(["base"], "smoke", seeds=[1], out=tmp_path / "at-once", **given)


def test_ctrl_c_loses_nothing(base: Path, tmp_path: Path) -> None:
    stopped, straight = tmp_path / "stopped", tmp_path / "straight"

    def interrupt() -> None:
        while not list(stopped.glob("*=0,0.5_*/metacontroller/metrics.jsonl")):
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(SystemExit) as stop:
        swept(stopped, base, steps=16)
    thread.join()
    assert stop.value.code == 130
    first, second = sorted(stopped.iterdir())
    assert Run.open(first).stage("metacontroller").done
    assert Run.open(second).stage("metacontroller").begun
    assert not Run.open(second).stage("metacontroller").done
    for one, other in zip(swept(stopped, base, 16), swept(straight, base, 16), strict=True):
        assert weights(one, "metacontroller") == weights(other, "metacontroller")


def fails(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    return capsys.readouterr().err


def test_a_base_that_does_not_fit_is_refused(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    command = ("train", "metacontroller", "--preset", "smoke")
    said = fails(capsys, *command, "--base", str(base), "--out", str(other))
    assert "pretrain.steps = 2" in said and "pretrain.steps = 60" in said and "--set" in said
    train("base", own, "--set", "pretrain.steps=2")
    settings = ("--set", "pretrain.steps=2")
    said = fails(capsys, *command, "--base", str(base), "--out", str(own), *settings)
    assert f"{own} has a base that is not that of {base}" in said
    bare = str(Run.create(tmp_path / "bare", PRESETS["smoke"], seed=0).folder)
    said = fails(capsys, *command, "--base", bare, "--out", str(other))
    assert "stage 'base'" in said and bare in said
    assert "neither a run folder" in fails(capsys, *command, "--base", "nowhere")


def test_a_sweep_of_nothing_or_of_what_there_is_not_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("sweep", "--preset", "smoke", "--out", str(tmp_path / "sweep"))
    assert "needs a stage" in fails(capsys, *command)
    stage = (command[0], "base", *command[1:])
    assert "discovery.alpha" in fails(capsys, *stage, "--over", "discovery.alfa=1")
    assert "write KEY=VALUE" in fails(capsys, *stage, "--over", "alpha")
    assert "--workers 0: take 1 to" in fails(capsys, *stage, "--workers", "0")
    assert "--threads 0: take 1 to" in fails(capsys, *stage, "--threads", "0")
    assert "take local or ray" in fails(capsys, *stage, "--backend", "dask")
    assert "neither a run folder" in fails(capsys, *stage, "--base", "nowhere")
    assert not (tmp_path / "sweep").exists()
