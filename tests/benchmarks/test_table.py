"""``python -m benchmarks``: what is chosen, what is written, and what is left where one fails."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from benchmarks.__main__ import main, measured
from benchmarks.measuring import Setting
from benchmarks.table import BENCHMARKS, Benchmark, flat, machine, markdown

SMALL = Setting(rounds=1, small=True)
HELP = Benchmark("benchmarks.commands:measure_help", ("cli.help_s",))
PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
WHERE = {
    "cpu": "A",
    "cores": 2,
    "threads": 1,
    "device": "cpu",
    "versions": "python 3",
    "commit": "abc",
    "command": "python -m benchmarks",
    "rounds": 3,
}


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_what_was_chosen_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = ["--only", "env", "--rounds", "1", "--threads", "1", "--small", "--out", str(tmp_path)]
    assert main(told) == 0
    made = json.loads((tmp_path / "benchmarks.json").read_text())
    keys = [key for each in BENCHMARKS for key in each.keys if key.startswith("env.")]
    assert [key for key in made if not key.startswith("machine.")] == keys
    assert all(made[key] > 0 for key in keys)
    assert made["machine.threads"] == 1 and made["machine.device"] == "cpu"
    assert made["machine.command"] == " ".join(["python -m benchmarks", *told])
    table = (tmp_path / "benchmarks.md").read_text()
    assert all(f"| `{key}` | " in table for key in keys)
    assert capsys.readouterr().out == ""


def test_what_was_chosen_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "cli.help_s", "--rounds", "1", "--note", "While it rained."]) == 0
    out = capsys.readouterr().out
    assert "| `cli.help_s` | " in out and "\nWhile it rained.\n" in out


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (["--only", "env.gri"], "--only env.gri: there are cli.help_s, env.grid.steps_per_s_core"),
        (["--rounds", "0"], "--rounds 0: at least 1"),
        (["--threads", "0"], "--threads 0: at least 1"),
    ],
)
def test_what_there_is_not_is_refused(
    told: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(told)
    assert said in capsys.readouterr().err


def test_what_fails_is_no_end_of_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    failing = Benchmark("benchmarks.nowhere:measure", ("nowhere.a", "nowhere.b"))
    values, missing = measured([failing, HELP], SMALL)
    assert values.keys() == {"cli.help_s"}
    reason = "failed, ModuleNotFoundError"
    assert missing == {"nowhere.a": reason, "nowhere.b": reason}
    assert "No module named 'benchmarks.nowhere'" in capsys.readouterr().err
    assert f"- `nowhere.a`: {reason}.\n" in markdown(values, missing, WHERE, "")


def test_a_group_is_chosen_by_its_name_and_by_what_is_in_it() -> None:
    grows = next(each for each in BENCHMARKS if each.keys == ("grows",))
    assert grows.tells("grows") and grows.tells("grows.rows.64.seconds")
    assert not grows.tells("grow") and not grows.tells("grown")
    assert HELP.tells("cli") and HELP.tells("cli.help_s") and not HELP.tells("cli.help")


def test_the_table_has_medians_lowest_and_highest_of_rounds() -> None:
    values = {
        "a.x": [3.0, 1.0, 2.5],
        "grows.rows.1024.seconds": [0.12345],
        "grows.rows.1024.megabytes": [2_345.6],
    }
    table = markdown(values, {"b.y": "needs `it`"}, WHERE, "")
    assert "Machine: A, cores 2, threads 1, device\ncpu; python 3." in table
    assert "| `a.x` | 2.5 | 1 | 3 |\n" in table and "| rows | 1,024 | 0.123 | 2,346 |\n" in table
    assert table.endswith("\nNot measured here:\n\n- `b.y`: needs `it`.\n")
    assert flat(values, {"cpu": "A"})["a.x"] == 2.5
    assert flat(values, {"cpu": "A"})["machine.cpu"] == "A"


def test_the_machine_is_described() -> None:
    told = machine(SMALL, "python -m benchmarks")
    assert told.keys() == WHERE.keys() and all(what is not None for what in told.values())
    assert f"torch {torch.__version__}" in told["versions"]


def test_every_key_and_no_other_is_on_its_page() -> None:
    keys = [key for each in BENCHMARKS for key in each.keys]
    assert len(set(keys)) == len(keys)
    assert sorted(re.findall(r"^\| `([\w.]+)` \|", PAGE.read_text(), re.MULTILINE)) == sorted(keys)
