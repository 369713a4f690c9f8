from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import plotly.graph_objects as go
import pytest
import torch

from irl_lens import cli
from irl_lens.analyses.core.analysis import Analysis
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.registry import ANALYSES
from irl_lens.cli.arguments import PRESET_NAMES
from irl_lens.commands.chain import TRAINERS
from irl_lens.config.presets import PRESETS
from irl_lens.runs.chain import READS
from irl_lens.runs.run import Run
from irl_lens.runs.seed_summary import write_evaluation
from tests.elsewhere import elsewhere

HEAVY = ("torch", "transformer_lens", "numpy", "plotly")


COMPUTE = {
    "gpu0": ("run", "smoke", "--out", "nowhere"),
    "gpu1": ("train", "base", "--preset", "smoke", "--out", "nowhere"),
    "gpu2": ("sweep", "base", "--preset", "smoke", "--out", "nowhere"),
    "gpu3": ("evaluate", "grid", "--out", "nowhere"),
    "gpu4": ("report", "grid", "--out", "nowhere"),
    "gpu5": ("analyze", "grid", "floor", "--out", "nowhere"),
    "gpu6": ("compare", "learning-methods", "grid", "--out", "nowhere"),
    "gpu7": ("scan", "grid", "--out", "nowhere"),
    "gpu8": ("explore", "grid"),
}
"""Commands that compute on a device, by the name of one that there is not."""


@dataclass(frozen=True)
class Found(Result):
    """Of an analysis that finds nothing."""

    def figure(self) -> go.Figure:
        return go.Figure()

    def to_dataframe(self) -> pd.DataFrame:
        return pd.DataFrame()

    def caption(self) -> str:
        return "Nothing."


def _fails(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == code
    return capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    (
        *("", "run", "train", "sweep", "evaluate", "report", "summary", "conformance"),
        *("analyze", "compare", "scan", "settings", "doctor", "completion", "explore"),
    ),
)
def test_help_imports_nothing_heavy(command: str) -> None:
    code = (
        "import sys; from irl_lens.cli import main\n"
        f"try: main({[command] * bool(command)} + ['--help'])\n"
        f"except SystemExit: sys.exit(', '.join(n for n in {HEAVY} if n in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip() == ""
    assert "usage: irl-lens" in done.stdout


def test_python_m_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "irl_lens", "--help"], capture_output=True)
    assert done.returncode == 0


def test_every_stage_has_a_function_that_runs_it() -> None:
    assert TRAINERS.keys() == set(READS)


def test_help_names_the_presets_there_are() -> None:
    assert tuple(PRESETS) == PRESET_NAMES


def test_mistakes_are_one_line_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, most = str(tmp_path / "run"), 16 * (os.cpu_count() or 1)
    for said, arguments in {
        "no preset 'gird'": ("run", "gird", "--out", out),
        "seed -1; take a whole number from 0": ("run", "smoke", "--out", out, "--seed", "-1"),
        "--threads 0": ("run", "smoke", "--out", out, "--threads", "0"),
        f"take 1 to {most} here, 16 a core": ("run", "smoke", "--out", out, "--threads", "100000"),
        "run\\x00' has a NUL byte": ("run", "smoke", "--out", f"{out}\0"),
        "'g\\x00rid' has a NUL byte": ("evaluate", "g\0rid"),
        "neither a run folder": ("evaluate", out),
        "nor a bundled model": ("report", out),
        "does not offer a skill": ("train", "expert", "--preset", "grid", "--out", out),
        "--base grid: an expert": ("train", "expert", "--preset", "grid", "--base", "grid"),
        "at least one run": ("summary", "--out", out),
        "port 99999; take one from": ("explore", "grid", "--port", "99999"),
        "--allow-host *": ("explore", "grid", "--allow-host", "*"),
        **{
            f"device '{at}': take cpu, cuda": (*command, "--device", at)
            for at, command in COMPUTE.items()
        },
    }.items():
        error = _fails(capsys, 2, *arguments)
        assert error.startswith("irl-lens: ") and said in error
        assert len(error.splitlines()) == 1
    assert not Path(out).exists() and not Path("nowhere").exists()


def test_folder_of_another_preset_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Run.create(tmp_path / "run", PRESETS["grid"], seed=0)
    error = _fails(capsys, 2, "train", "base", "--preset", "smoke", "--out", str(tmp_path / "run"))
    assert "'grid' seed 0" in error and "'smoke' seed 0" in error


def test_stage_without_the_one_before_says_which(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("train", "controllers", "--preset", "smoke", "--out", str(tmp_path / "run"))
    assert "stage 'base'" in _fails(capsys, 2, *arguments)


def test_unwritable_place_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    error = _fails(capsys, 2, "run", "smoke", "--out", str(tmp_path / "file" / "run"))
    assert str(tmp_path / "file") in error and len(error.splitlines()) == 1


def _evaluated(folder: Path, seed: int, success: float) -> str:
    write_evaluation(
        Run.create(folder / str(seed), PRESETS["smoke"], seed).folder / "evaluation.json",
        {"internal-rl.success": success, "odd": float("nan") if seed else 1.0},
    )
    return str(folder / str(seed))


def test_summary_is_median_and_range_over_seeds(tmp_path: Path) -> None:
    folders = [_evaluated(tmp_path, seed, success) for seed, success in ((2, 0.9), (0, 0.5))]
    folders.append(_evaluated(tmp_path, 1, 0.6))
    cli.main(["summary", *folders, "--out", str(tmp_path / "results")])
    table = json.loads((tmp_path / "results" / "summary.json").read_text())
    commands = "; ".join(f"irl-lens run smoke --seed {seed}" for seed in range(3))
    assert table["internal-rl.success"] == {
        "median": 0.6,
        "low": 0.5,
        "high": 0.9,
        "spread": "range over seeds",
        "seeds": [0, 1, 2],
        "command": commands,
    }
    assert table["odd"]["seeds"] == [0]
    made = json.loads((tmp_path / "results" / "runs.json").read_text())
    assert [run["seed"] for run in made] == [0, 1, 2] and "torch" in made[0]["versions"]
    lines = (tmp_path / "results" / "summary.md").read_text().splitlines()
    assert "| `internal-rl.success` | 0.6 | 0.5 | 0.9 |" in lines


def test_summary_refuses_what_does_not_belong_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = _evaluated(tmp_path, 0, 0.5)
    other = str(Run.create(tmp_path / "grid", PRESETS["grid"], seed=1).folder)
    bare = str(Run.create(tmp_path / "bare", PRESETS["smoke"], seed=1).folder)
    out = ("--out", str(tmp_path / "results"))
    said = _fails(capsys, 2, "summary", one, other, *out)
    assert "one preset" in said and "name = 'smoke'" in said and "name = 'grid'" in said
    wider = replace(PRESETS["smoke"], base=replace(PRESETS["smoke"].base, d_mlp=32))
    changed = str(Run.create(tmp_path / "wider", wider, seed=1).folder)
    said = _fails(capsys, 2, "summary", one, changed, *out)
    assert f"{one} has base.d_mlp = 64" in said and f"{changed} base.d_mlp = 32" in said
    assert "both have seed 0" in _fails(capsys, 2, "summary", one, one, *out)
    assert f"irl-lens evaluate {bare}" in _fails(capsys, 2, "summary", one, bare, *out)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "irl_lens", *arguments]


def _wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def test_ctrl_c_exits_130_and_the_same_command_continues(tmp_path: Path) -> None:
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    train = ("train", "base", "--preset", "smoke", "--threads", "1", "--out")
    process = subprocess.Popen(
        _command(*train, str(stopped)), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    _wait_for(stopped / "base" / "metrics.jsonl", process)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "stage base stopped after step" in error and "same command again" in error
    assert len(error.splitlines()) <= 3
    assert not Run.open(stopped).stage("base").done
    for folder in (straight, stopped):
        cli.main([*train, str(folder)])
    weights = [folder / "base" / "weights.safetensors" for folder in (straight, stopped)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.mark.slow
def test_smoke_runs_the_whole_chain(tmp_path: Path) -> None:
    out = tmp_path / "run"
    subprocess.run(_command("run", "smoke", "--out", str(out)), check=True)
    run = Run.open(out)
    assert tuple(run.finished()) == run.chain
    assert json.loads((out / "evaluation.json").read_text())
    assert "<html" in (out / "report.html").read_text()[:1000].lower()


def test_settings_replace_the_presets_and_are_kept_with_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ("pretrain.steps=2", "controllers.layers=1,2", "world.observation=onehot")
    arguments = ("train", "base", "--preset", "smoke", "--out", str(tmp_path / "run"))
    cli.main((*arguments, "--set", *settings))
    kept = Run.open(tmp_path / "run").preset
    assert (kept.pretrain.steps, kept.controllers.layers) == (2, (1, 2))
    assert kept.world.observation == "onehot"
    said = _fails(capsys, 2, *arguments)
    assert "was made with" in said and "--out" in said


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("pretrain.steps", "write KEY=VALUE"),
        ("pretrain.stps=2", "pretrain.steps"),
        ("pretrain.steps=two", "two"),
        ("world.observation=pixels", "egocentric"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    setting: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert said in _fails(capsys, 2, "run", "smoke", "--out", str(out), "--set", setting)
    assert not out.exists()


def test_threads_do_not_wait_by_spinning_unless_the_user_says_so() -> None:
    code = (
        "import os; from irl_lens.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print(os.environ['OMP_WAIT_POLICY'])"
    )
    for given, expected in (({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")):
        environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"} | given
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True
        )
        assert done.stdout.splitlines()[-1] == expected


def test_the_device_asked_for_goes_before_that_of_the_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("train", "base", "--preset", "smoke", "--out", str(tmp_path / "run"))
    monkeypatch.setenv("IRL_LENS_DEVICE", "gpu")
    assert "IRL_LENS_DEVICE='gpu': take cpu" in _fails(capsys, 2, *command)
    assert not (tmp_path / "run").exists()
    few = ("pretrain.steps=1", "pretrain.batch=8")
    cli.main([*command, "--device", "cpu", "--set", *few])
    assert Run.open(tmp_path / "run").stage("base").made_with()["device"] == "cpu"


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_run_trains_and_is_analysed_on_the_device_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    seen = []
    planted = SimpleNamespace(find=lambda loaded: seen.append(loaded.base.device) or Found())
    monkeypatch.setitem(sys.modules, "planted", planted)
    monkeypatch.setitem(ANALYSES, "where", Analysis("where", "planted:find", "Where"))
    out, asked = str(tmp_path / "run"), ("--device", device)
    few = ("pretrain.steps=1", "pretrain.batch=8", "pretrain.chunk=8")
    with elsewhere(card=True) as there:
        cli.main(["train", "base", "--preset", "smoke", "--out", out, *asked, "--set", *few])
        cli.main(["analyze", out, "where", *asked])
    at = there if device != "cpu" else torch.device("cpu")
    assert seen == [at]
    assert Run.open(out).stage("base").made_with()["device"] == str(at)
    said = json.loads((tmp_path / "run" / "analyses" / "where.json").read_text())["provenance"]
    assert said["device"] == ("cpu" if device == "cpu" else "cuda:0 (a card)")
