"""The ten tasks of the README's table: each is one line, with one import."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import irl_lens
from irl_lens.analyses.core.result import Result
from irl_lens.analyses.explorer.server import Server
from irl_lens.config.presets import preset
from irl_lens.config.schema import Preset
from irl_lens.errors import UserError
from irl_lens.files.tensors import CheckpointError
from irl_lens.hooks import Controller
from irl_lens.models.causal import CausalHalf
from irl_lens.models.policy import LatentPolicy
from irl_lens.runs.run import Run

README = Path(__file__).parents[1] / "README.md"
TASKS = re.findall(
    r"^\| ([\w' ]+) \| (?:`[^`]*`)? ?\| `(irl_lens[^`]*)` \|$", README.read_text(), re.M
)
SCAN = "find what is worth a look"
"""Takes a minute on any model."""
LONG = ("draw a run's report", "measure a run", SCAN)
"""Tasks that take a minute and more on the model in the box."""


@pytest.fixture(scope="module")
def small(smoke_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run that takes seconds to measure."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    return irl_lens.load(shutil.copytree(smoke_run.folder, folder))


@pytest.fixture(scope="module")
def tiny() -> Preset:
    """A preset of a few steps a stage."""
    smoke = preset("smoke")
    return replace(
        smoke,
        pretrain=replace(smoke.pretrain, steps=2),
        controllers=replace(smoke.controllers, steps=2),
        discovery=replace(smoke.discovery, steps=2),
        codes=replace(smoke.codes, steps=2),
        internal_rl=replace(smoke.internal_rl, episodes=32, batch=32),
        raw_rl=replace(smoke.raw_rl, episodes=32, batch=32),
        evaluation=replace(smoke.evaluation, trajectories=16, rollouts=8, probe_iterations=3),
    )


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path


EXPECTED: dict[str, Any] = {
    "draw a run's report": lambda found: "<html" in found.read_text()[:1000].lower(),
    "try things by hand": lambda found: isinstance(found, Server),
    "measure a run": lambda found: 0 <= found <= 1,
    "run an analysis": lambda found: len(found.data) > 0,
    SCAN: lambda found: len(found) > 0,
    "train the whole chain": lambda found: tuple(found.finished()) == found.chain,
    "train one stage": lambda found: list(found.finished()) == ["base"],
    "vary settings and seeds": lambda found: [run.seed for run in found] == [0, 1],
    "hold runs side by side": lambda found: isinstance(found, Result),
    "have the trained parts": lambda found: isinstance(found, Controller),
}
"""What each task is to give."""


def test_the_readme_has_ten_tasks() -> None:
    assert [task for task, _ in TASKS] == list(EXPECTED)


def done(code: str, **names: Any) -> Any:
    """What a task's code gives, with the one import, and names in place of some it says."""
    for name in names:
        code = code.replace(f'"{name}"', name)
    return eval(code, {"irl_lens": irl_lens, **names})


def assert_done(task: str, found: Any) -> None:
    try:
        assert EXPECTED[task](found)
    finally:
        if isinstance(found, Server):
            found.close()


@pytest.mark.parametrize("task", [task for task in EXPECTED if task != SCAN])
def test_each_takes_one_import(task: str, small: Run, tiny: Preset, workspace: Path) -> None:
    grid = {"grid": small} if task in LONG else {}
    assert_done(task, done(dict(TASKS)[task], smoke=tiny, **grid))


@pytest.mark.slow
@pytest.mark.parametrize("task", LONG)
def test_each_does_it_on_the_bundled_model(task: str, workspace: Path) -> None:
    assert_done(task, done(dict(TASKS)[task]))


def test_the_parts_are_what_the_table_says() -> None:
    model = irl_lens.load("grid")
    assert isinstance(model.metacontroller, CausalHalf) and isinstance(model.policy, LatentPolicy)
    observations = torch.as_tensor(model.world.demonstrate(4, seed=0).observations)
    with torch.no_grad(), model.bank(1)["A"].attached(model.base.hooked) as handle:
        steered = model.base(observations)
    assert handle.fired == {"blocks.0.hook_resid_post": 1}
    assert not torch.equal(steered, model.base(observations))


def test_the_package_is_cheap_and_its_rooms_come_when_asked_for() -> None:
    code = (
        "import sys, irl_lens\n"
        "heavy = 'torch', 'transformer_lens', 'numpy', 'gymnasium', 'plotly', 'rich', 'tyro'\n"
        "assert not (found := [name for name in heavy if name in sys.modules]), found\n"
        "assert set(irl_lens.__all__) == set(dir(irl_lens))\n"
        "irl_lens.envs.__doc__\n"
        "assert 'torch' not in sys.modules\n"
        "irl_lens.hooks.Gate\n"
        "assert 'transformer_lens' not in sys.modules\n"
        "irl_lens.conformance.check, irl_lens.analyses\n"
        "try: irl_lens.models_of_nothing\n"
        "except AttributeError as error: assert 'models_of_nothing' in str(error)\n"
        "else: raise AssertionError\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_nothing_is_written_but_where_it_is_said(small: Run, workspace: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in small.folder.rglob("*")}
    irl_lens.analyze(small, "belief")
    measured = irl_lens.evaluate(small)
    assert not list(workspace.iterdir())
    assert {path: path.stat().st_mtime_ns for path in small.folder.rglob("*")} == before
    again = irl_lens.evaluate(small, out=workspace / "numbers.json")
    assert again.keys() == measured.keys()
    results = irl_lens.analyze(small, ["belief", "lens"], out=workspace / "analyses")
    assert list(results) == ["belief", "lens"]
    written = {path.name for path in (workspace / "analyses").iterdir()}
    assert {f"{name}.html" for name in results} <= written


def test_the_chain_leaves_its_evaluation_and_its_report(tiny: Preset, workspace: Path) -> None:
    run = irl_lens.run(tiny, seed=3, settings=["raw_rl.episodes=64"])
    assert run.folder == Path("runs/smoke-seed3") and run.preset.raw_rl.episodes == 64
    assert run.evaluation.keys() == irl_lens.evaluate(run).keys()
    assert (run.folder / "report.html").is_file()
    bundle = irl_lens.bundle(run, out="bundle")
    assert irl_lens.load(bundle).base.d_model == run.base.d_model
    other = irl_lens.run(tiny, seed=4, settings=["raw_rl.episodes=64"])
    table = irl_lens.summary([run, other], out="results")
    assert table == Path("results/summary.json") and table.is_file()


def test_what_does_not_fit_is_refused_before_anything_is_written(
    tiny: Preset, workspace: Path
) -> None:
    wrong = {
        "no stage 'bass'": lambda: irl_lens.train("bass", tiny),
        "no stage 'b'": lambda: irl_lens.sweep("base", tiny),
        "no preset 'gird'": lambda: irl_lens.run("gird"),
        "pretrain.steps": lambda: irl_lens.run(tiny, settings=["pretrain.stps=2"]),
        "take 1 to": lambda: irl_lens.run(tiny, threads=0),
        "no analysis 'gaet-science'": lambda: irl_lens.analyze("grid", "gaet-science"),
        "no analysis 'lerning'": lambda: irl_lens.compare("lerning", ["grid"]),
        "neither a run folder": lambda: irl_lens.evaluate("nowhere"),
    }
    for said, call in wrong.items():
        with pytest.raises(UserError, match=said):
            call()
    assert not list(workspace.iterdir())
    with pytest.raises(CheckpointError, match="irl-lens train base"):
        irl_lens.train("controllers", tiny)


def test_ctrl_c_loses_nothing(tiny: Preset, workspace: Path) -> None:
    longer = replace(tiny, pretrain=replace(tiny.pretrain, steps=40))

    def interrupt() -> None:
        while not Path("stopped/base/metrics.jsonl").exists():
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt, match="stage base stopped after step"):
        irl_lens.train("base", longer, out="stopped")
    thread.join()
    assert not irl_lens.load("stopped").stage("base").done
    runs = [irl_lens.train("base", longer, out=folder) for folder in ("stopped", "straight")]
    assert runs[0].base.hash() == runs[1].base.hash()


def test_threads_are_given_back(tiny: Preset, workspace: Path) -> None:
    before = torch.get_num_threads()
    run = irl_lens.train("base", tiny, threads=before + 1)
    assert torch.get_num_threads() == before
    assert run.stage("base").made_with()["threads"] == before + 1
