"""Names of devices, and what is said of one that is not there."""

from __future__ import annotations

import pytest
import torch

from irl_lens.errors import UserError
from irl_lens.models.device import VARIABLE, find_device

CARDS = 2


@pytest.fixture(params=[False, True], ids=["no card", "cards"])
def cards(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether torch sees graphics cards."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: request.param)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: CARDS * request.param)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    return request.param


def test_a_name_is_found_as_an_argument_and_as_a_variable(
    cards: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"cpu": "cpu", "auto": "cuda:1" if cards else "cpu"}
    names |= {"cuda": "cuda:1", "cuda:0": "cuda:0"} if cards else {}
    for name, device in names.items():
        assert find_device(name) == torch.device(device)
        monkeypatch.setenv(VARIABLE, name)
        assert find_device() == torch.device(device)
    monkeypatch.setenv(VARIABLE, "")  # as good as none
    assert find_device() == torch.device(names["auto"])
    monkeypatch.delenv(VARIABLE)
    assert find_device() == torch.device(names["auto"])
    monkeypatch.setenv(VARIABLE, "nonsense")
    assert find_device("cpu") == torch.device("cpu")  # what is asked for goes first
    assert find_device(torch.device("meta")) == torch.device("meta")


@pytest.mark.parametrize("name", ["gpu", "CUDA", "cuda:", "cuda:-1", "cuda:x", "cuda:١", "mps", ""])
def test_an_unknown_name_is_refused_with_those_that_can_be_given(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=rf"device '{name}': take cpu, cuda .* or auto"):
        find_device(name)
    if name:
        monkeypatch.setenv(VARIABLE, name)
        with pytest.raises(UserError, match=f"IRL_LENS_DEVICE='{name}': take cpu, cuda"):
            find_device()


def test_a_card_that_is_not_there_is_refused_with_why(
    cards: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if cards:
        with pytest.raises(UserError, match=r"'cuda:2': torch sees cuda:0, cuda:1; take one"):
            find_device("cuda:2")
        return
    monkeypatch.setattr(torch.version, "cuda", None)
    without = r"'cuda:0': torch sees no CUDA device, as torch \S+ was built without CUDA; take cpu"
    with pytest.raises(UserError, match=without):
        find_device("cuda:0")
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    with pytest.raises(UserError, match=r"built for CUDA 12\.8: is there a card, a driver"):
        find_device("cuda")
