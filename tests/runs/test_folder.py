from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import irl_lens
from irl_lens.config.presets import PRESETS
from irl_lens.config.schema import Preset
from irl_lens.errors import UserError
from irl_lens.files.tensors import CheckpointError
from irl_lens.runs.chain import STAGES
from irl_lens.runs.folder import bundled_names
from irl_lens.runs.run import Run, find_run
from irl_lens.runs.stage import Stage

SMOKE = PRESETS["smoke"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "run", SMOKE, seed=3)


@pytest.mark.parametrize("name", PRESETS)
def test_open_gives_back_what_create_was_given(tmp_path: Path, name: str) -> None:
    Run.create(tmp_path / name, PRESETS[name], seed=5)
    opened = Run.open(tmp_path / name)
    assert opened.preset == PRESETS[name] and hash(opened.preset) == hash(PRESETS[name])
    assert opened.seed == 5


def test_config_says_what_made_the_run(run: Run) -> None:
    libraries = {"torch", "transformer-lens", "numpy", "gymnasium", "mujoco", "irl-lens"}
    assert {"python"} | libraries == set(run.config["versions"])
    assert run.config["versions"]["numpy"] == np.__version__
    assert run.config["threads"] == torch.get_num_threads()
    assert {"commit", "command", "cores"} < set(run.config)


def test_create_again_opens_the_same_run(run: Run) -> None:
    before = (run.folder / "config.json").read_bytes()
    assert Run.create(run.folder, SMOKE, seed=3).preset == run.preset
    assert (run.folder / "config.json").read_bytes() == before


def test_other_preset_or_seed_is_refused_with_both_named(run: Run) -> None:
    with pytest.raises(UserError, match=r"'smoke' seed 3, not preset 'grid' seed 3.*--out"):
        Run.create(run.folder, PRESETS["grid"], seed=3)
    with pytest.raises(UserError, match=r"'smoke' seed 3, not preset 'smoke' seed 4"):
        Run.create(run.folder, SMOKE, seed=4)


def test_changed_setting_is_refused_with_both_values(run: Run) -> None:
    run.stage("base").save_state(1, {"w": torch.zeros(1)})
    with pytest.raises(UserError, match=r"pretrain\.lr = 0\.002.*pretrain\.lr = 0\.5"):
        Run.create(run.folder, changed("pretrain", lr=0.5), seed=3)


def test_settings_may_change_until_their_stage_begins(run: Run) -> None:
    run.stage("base").finish({"w": torch.zeros(1)}, {})
    later = changed("discovery", steps=7)
    assert Run.create(run.folder, later, seed=3).preset == later
    assert Run.open(run.folder).preset == later
    assert Run.open(run.folder).config["commit"] == run.config["commit"]
    run.stage("metacontroller").save_state(1, {"w": torch.zeros(1)})
    with pytest.raises(UserError, match=r"discovery\.steps = 7.*discovery\.steps = 40"):
        Run.create(run.folder, SMOKE, seed=3)
    assert Run.open(run.folder).preset == later


def test_without_codes_to_learn_that_stage_is_not_in_the_chain(tmp_path: Path) -> None:
    whole = Run.create(tmp_path / "whole", SMOKE, seed=0)
    assert whole.chain == tuple(name for name in STAGES if name != "switches")
    without = Run.create(tmp_path / "without", changed("codes", steps=0), seed=0)
    assert without.chain == tuple(name for name in whole.chain if name != "codes")


def changed(part: str, **settings: Any) -> Preset:
    """The smoke preset with other settings in one of its parts."""
    return dataclasses.replace(
        SMOKE, **{part: dataclasses.replace(getattr(SMOKE, part), **settings)}
    )


def test_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(UserError, match="no run folder"):
        Run.create(tmp_path, SMOKE, seed=0)
    with pytest.raises(UserError, match="no run folder"):
        Run.create(tmp_path / "thesis.tex", SMOKE, seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_damaged_or_foreign_config_is_refused(run: Run) -> None:
    path = run.folder / "config.json"
    config = json.loads(path.read_text())
    config["preset"]["base"]["n_layers"] += 1
    path.write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"config\.json is damaged or was edited.*--set"):
        Run.open(run.folder)
    path.write_text(path.read_text()[:100])
    with pytest.raises(CheckpointError, match="damaged"):
        Run.open(run.folder)


def test_load_opens_folders_and_names_what_there_is(run: Run, tmp_path: Path) -> None:
    assert irl_lens.load(run.folder).seed == 3
    with pytest.raises(UserError, match="neither a run folder nor a bundled model"):
        irl_lens.load("gird")
    with pytest.raises(UserError, match="no run folder"):
        irl_lens.load(tmp_path)


@pytest.mark.parametrize("name", bundled_names())
def test_bundled_models_open_by_name(name: str) -> None:
    opened = find_run(name)
    assert opened.bundled and opened.stage("base").done


def test_stage_names(run: Run) -> None:
    assert [run.stage(name).name for name in STAGES] == list(STAGES)
    assert run.stage("base") is run.stage("base")
    with pytest.raises(UserError, match=r"no stage 'bass'.*base, controllers"):
        run.stage("bass")


def test_state_round_trip(run: Run) -> None:
    stage = run.stage("base")
    assert stage.load_state() is None
    stage.save_state(7, {"weight": torch.arange(3.0)})
    found = run.open(run.folder).stage("base").load_state()
    assert found is not None
    assert found[0] == 7 and torch.equal(found[1]["weight"], torch.arange(3.0))


def test_state_of_another_stage_is_refused(run: Run) -> None:
    run.stage("base").save_state(7, {})
    (run.folder / "raw-rl").mkdir()
    (run.folder / "base" / "state.safetensors").rename(run.folder / "raw-rl" / "state.safetensors")
    with pytest.raises(CheckpointError, match="'base', not 'raw-rl'"):
        run.stage("raw-rl").load_state()


def test_resuming_cuts_the_log_to_the_checkpoint(run: Run) -> None:
    stage = run.stage("base")
    for step in range(1, 6):
        stage.log(step, loss=step / 2)
    stage.save_state(3, {})
    with (stage.folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')  # the power went here
    assert len(stage.metrics()) == 5
    stage.load_state()
    assert [row["step"] for row in stage.metrics()] == [1, 2, 3]
    stage.log(4, loss=9.0)
    assert stage.metrics()[-1]["loss"] == 9.0


def test_starting_afresh_empties_the_log(run: Run) -> None:
    stage = run.stage("base")
    stage.log(1, loss=1.0)
    stage.load_state()
    assert stage.metrics() == []


def test_finish_keeps_results_and_drops_the_checkpoint(run: Run) -> None:
    stage = run.stage("controllers")
    stage.load_state()
    stage.log(1, loss=1.0)
    stage.save_state(1, {})
    curve = np.arange(6, dtype=np.int64).reshape(2, 3)[:, ::-1]
    stage.finish({"a": torch.ones(2)}, {"nll": 0.3}, {"curve": curve})
    again = Run.open(run.folder).stage("controllers")
    assert again.done and again.result == {"nll": 0.3}
    assert torch.equal(again.weights()["a"], torch.ones(2))
    np.testing.assert_array_equal(again.arrays()["curve"], curve)
    assert again.load_state() is None and len(again.metrics()) == 1
    assert not (stage.folder / "state.safetensors").exists()
    assert list(run.finished()) == ["controllers"]


def test_finish_without_arrays(run: Run) -> None:
    run.stage("base").finish({}, {})
    made = run.stage("base").made_with()
    assert made["versions"]["torch"] == torch.__version__
    assert made["seconds"] >= 0
    assert run.stage("base").arrays() == {}


def test_unfinished_stage_says_so(run: Run) -> None:
    stage = run.stage("base")
    assert not stage.done and run.finished() == {}
    for read in (stage.weights, stage.arrays, lambda: stage.result):
        with pytest.raises(CheckpointError, match=r"'base' of .* is not finished"):
            read()


def test_seconds_add_up_over_interruptions(tmp_path: Path) -> None:
    for _ in range(3):
        stage = Stage(tmp_path / "base")
        stage.load_state()
        time.sleep(0.02)
        stage.save_state(1, {})
    stage.finish({}, {})
    assert 0.06 <= Stage(tmp_path / "base").seconds < 5
