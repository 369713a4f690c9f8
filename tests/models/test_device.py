"""Names of devices: what each is, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import irl_lens
from irl_lens import cli
from irl_lens.errors import UserError
from irl_lens.models.device import VARIABLE, find_device
from irl_lens.runs.run import Run

CPU = torch.device("cpu")


@pytest.fixture(params=[0, 2], ids=["no cards", "two cards"])
def cards(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many graphics cards torch says that there are, of which the first is the current one."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: request.param)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    return request.param


def test_the_processor_is_there_and_a_device_is_itself(cards: int) -> None:
    assert find_device("cpu") == CPU
    assert find_device(torch.device("cuda", 5)) == torch.device("cuda", 5)


def test_auto_and_nothing_is_the_card_if_there_is_one(
    cards: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE)
    expected = torch.device("cuda", 0) if cards else CPU
    assert find_device("auto") == find_device() == expected
    monkeypatch.setenv(VARIABLE, "cpu")
    assert find_device() == CPU
    assert find_device("auto") == expected


def test_cards_are_found_by_number(cards: int) -> None:
    if cards:
        assert find_device("cuda") == torch.device("cuda", 0)
        assert find_device("cuda:1") == torch.device("cuda", 1)
        with pytest.raises(UserError, match="'cuda:2': torch sees cuda:0, cuda:1; take one"):
            find_device("cuda:2")
    else:
        for name in ("cuda", "cuda:0"):
            with pytest.raises(UserError, match=f"'{name}': torch sees no CUDA device, .* cpu or"):
                find_device(name)


@pytest.mark.parametrize("name", ["", "gpu", "CPU", "cpu:0", "cuda:", "cuda:-1", "cuda:99999"])
def test_other_names_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=f"device {name!r}: take cpu, cuda"):
        find_device(name)
    if name:
        monkeypatch.setenv(VARIABLE, name)
        with pytest.raises(UserError, match=f"{VARIABLE}={name!r}: take cpu"):
            find_device()


def test_an_open_run_stays_where_it_is_unless_it_is_told(smoke_run: Run) -> None:
    there = smoke_run.on(torch.device("meta"))
    assert irl_lens.load(there) is there and there.base.hooked.W_E.device == there.device
    here = irl_lens.load(there, "cpu")
    assert here is not there and here.base.hooked.W_E.device == CPU
    assert smoke_run.on(CPU) is smoke_run and irl_lens.load(smoke_run.folder).device == CPU


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
@pytest.mark.parametrize(
    "command", ["evaluate grid", "report grid", "analyze grid gate", "scan grid", "run smoke"]
)
def test_commands_say_that_there_is_no_card(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        cli.main([*command.split(), "--device", "cuda"])
    assert stop.value.code == 2 and "torch sees no CUDA device" in capsys.readouterr().err
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
