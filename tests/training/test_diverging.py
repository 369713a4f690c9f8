"""Rates that are far too high: each stage stops, says why, and what it says to do works."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from irl_lens import cli
from irl_lens.commands.chain import run_stage
from irl_lens.config.compile import CompileConfig
from irl_lens.config.overrides import changed
from irl_lens.config.schema import CodesConfig, Preset
from irl_lens.models.fast import FastPath
from irl_lens.progress import QuietProgress
from irl_lens.runs.chain import READS
from irl_lens.runs.run import Run
from irl_lens.training.finite import DivergedError


@pytest.fixture(scope="module")
def chain(small: Preset) -> Preset:
    """With tiny codes as well."""
    codes = CodesConfig(steps=3, history=6, hidden=8, latent=3, batch=12)
    compile = CompileConfig(segments=2, latent=2, hidden=6, width=6, steps=3, batch=12)
    pretrain = replace(small.pretrain, steps=4)
    return replace(small, codes=codes, pretrain=pretrain, compile=compile)


def _until(stage: str, preset: Preset, folder: Path, base: FastPath) -> Run:
    """A run whose stages before one are done."""
    run = Run.create(folder, preset, seed=0)
    if stage != "base":
        run.stage("base").finish(base.model.weights(), {})
    if stage == "codes":
        _train("metacontroller", run)
    return run


def _train(stage: str, run: Run) -> None:
    run_stage(stage, run, QuietProgress())


@pytest.mark.parametrize(
    "setting",
    [
        *("pretrain.lr", "controllers.lr", "discovery.lr", "discovery.decoder_lr"),
        *("discovery.base_lr", "codes.lr", "compile.lr"),
    ],
)
def test_a_rate_far_too_high_stops_its_stage_and_the_remedy_works(
    chain: Preset, base: FastPath, tmp_path: Path, setting: str
) -> None:
    stage = next(name for name, parts in READS.items() if parts[-1] == setting.split(".")[0])
    run = _until(stage, changed(chain, [f"{setting}=1e30"]), tmp_path / "run", base)
    with pytest.raises(DivergedError, match=rf"stage {stage} .* step \d") as caught:
        _train(stage, run)
    assert f"most likely {setting} = 1e+30 is too high" in str(caught.value)
    assert not run.stage(stage).done and not run.stage(stage).begun
    for row in run.stage(stage).metrics():
        assert all(math.isfinite(figure) for figure in row.values())
    assert not list((run.folder / stage).glob("*.safetensors"))
    remedy = re.findall(r"--set (\S+)$", str(caught.value))
    run = Run.create(run.folder, changed(chain, remedy), seed=0)  # in the same folder
    _train(stage, run)
    assert run.stage(stage).done


def test_a_stage_that_has_begun_is_to_be_deleted_and_no_other(
    chain: Preset, base: FastPath, tmp_path: Path
) -> None:
    run = _until("controllers", changed(chain, ["controllers.steps=1"]), tmp_path / "run", base)
    _train("controllers", run)
    run = Run.create(run.folder, changed(run.preset, ["discovery.lr=1e30", "discovery.steps=1"]), 0)
    with pytest.raises(DivergedError, match="ends with numbers that are not finite") as caught:
        _train("metacontroller", run)  # finite before its only step, and after it in the weights
    folder = run.stage("metacontroller").folder
    assert f"delete {folder} and give the command again" in str(caught.value)
    for file in folder.iterdir():
        file.unlink()
    run = Run.create(run.folder, changed(run.preset, ["discovery.lr=1e-3"]), seed=0)
    _train("metacontroller", run)
    assert list(run.finished()) == ["base", "controllers", "metacontroller"]


def test_the_command_stops_and_trains_no_later_stage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["run", "smoke", "--out", str(tmp_path / "run"), "--set", "pretrain.lr=1e6"])
    said = capsys.readouterr().err.splitlines()[-1]
    assert stop.value.code == 2
    where = tmp_path / "run" / "base"
    assert f"stage base in {where} came to numbers that are not finite in step 2" in said
    assert [path.name for path in (tmp_path / "run").iterdir() if path.is_dir()] == ["base"]
