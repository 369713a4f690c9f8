"""How everything here is timed: calls in turn, in one process, after a round that is not counted.

    ratio_i = seconds_i(a) / seconds_i(b)      of round i; its median over rounds is what is told

Whatever else the machine does slows both sides of a round alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import torch

Values = dict[str, list[float]]
"""What a benchmark returns: by key, a value of each round."""


PEERS = '`pip install -c constraints.txt -e ".[peers]"`'
"""What installs what is compared with."""
CPU = torch.device("cpu")


class MissingError(Exception):
    """Something that a benchmark compares with is not here; says what to install."""


@dataclass(frozen=True)
class Setting:
    """What all benchmarks are told.

    Attributes:
        rounds: How often each call is timed.
        device: Where the model computes.
        small: Tiny sizes, to see that it works; the numbers mean nothing.
    """

    rounds: int = 5
    device: torch.device = CPU
    small: bool = False

    @property
    def preset(self) -> str:
        """The preset whose sizes are measured."""
        return "smoke" if self.small else "grid"


def in_turn(
    calls: Mapping[str, Callable[[], object]], setting: Setting, warm: bool = True
) -> Values:
    """Returns the seconds that each call takes, round by round.

    Args:
        calls: What is timed.
        setting: How often, and where.
        warm: Whether a round before is not counted.
    """
    for call in calls.values() if warm else ():
        _seconds(call, setting.device)
    seconds: Values = {name: [] for name in calls}
    for _ in range(setting.rounds):
        for name, call in calls.items():
            seconds[name].append(_seconds(call, setting.device))
    return seconds


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Divides round by round."""
    return [a / b for a, b in zip(above, below, strict=True)]


def require(module: str, remedy: str) -> None:
    """Checks that something to compare with is installed.

    Raises:
        MissingError: It is not.
    """
    if find_spec(module) is None:
        raise MissingError(remedy)


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    began = time.perf_counter()
    call()
    if device.type == "cuda":  # which else goes on computing when the call is over
        torch.cuda.synchronize(device)
    return time.perf_counter() - began
