"""Calls in processes of their own: what fails, dies or takes too much is no end of the others."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import cloudpickle
import numpy as np
import pytest

from irl_lens.commands.workers import check_workers, in_workers
from irl_lens.errors import UserError

# Workers cannot import a test, unless pytest was started so that it lies on Python's path.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def square(number: int) -> int:
    if number == 2:
        raise UserError("2 is refused")
    if number == 3:
        raise KeyError("three")
    return number**2


def die(mark: Path | None) -> str:
    """Is killed, if there is a mark the first time only."""
    if mark is None or not mark.exists():
        if mark is not None:
            mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "went on"


def command() -> list[str]:
    return sys.argv


def taking(size: int) -> int:
    return np.ones(size, np.uint8)[:: 1 << 20].sum().item()


def test_a_call_that_fails_is_no_end_of_the_others() -> None:
    found = dict(in_workers([partial(square, n) for n in range(5)], 2))
    assert {n: found[n] for n in (0, 1, 4)} == {0: 0, 1: 1, 4: 16}
    assert str(found[2]) == "2 is refused" and str(found[3]) == "KeyError: 'three'"
    assert isinstance(found[2], UserError) and isinstance(found[3], UserError)


def test_a_process_that_is_killed_is_no_end_of_the_others(tmp_path: Path) -> None:
    calls = [partial(die, tmp_path / "once"), partial(die, None), partial(square, 4)]
    found = dict(in_workers(calls, 2))
    assert found[0] == "went on" and found[2] == 16
    assert isinstance(found[1], UserError) and "its process ended" in str(found[1])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds what a process takes")
def test_memory_is_bounded_and_free_again() -> None:
    calls = [partial(taking, 1 << 20), partial(taking, 3 << 30)]
    found = dict(in_workers(calls, 2, memory=2 << 30))
    assert found[0] == 1 and isinstance(found[1], UserError) and "allocate" in str(found[1])


def test_workers_are_told_the_command() -> None:
    assert dict(in_workers([command], 2)) == {0: sys.argv}


@pytest.mark.parametrize(
    ("workers", "backend", "said"),
    [
        (0, "local", "--workers 0: take 1 to"),
        (100_000, "local", "--workers 100000: take 1 to"),
        (2, "dask", "--backend dask: take local or ray"),
    ],
)
def test_workers_that_there_cannot_be_are_refused(workers: int, backend: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_workers(workers, backend)


def test_calls_are_made_on_a_cluster_of_this_machine() -> None:
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        workers = check_workers(2, "ray")
        found = dict(in_workers([partial(square, n) for n in range(4)], workers, "ray"))
        assert found[0] == 0 and found[1] == 1
        assert str(found[2]) == "2 is refused" and str(found[3]) == "KeyError: 'three'"
    finally:
        ray.shutdown()


@pytest.mark.skipif(bool(find_spec("ray")), reason="Ray is installed")
def test_a_cluster_needs_ray() -> None:
    with pytest.raises(UserError, match=r'--backend ray: .*pip install "irl-lens\[ray\]"'):
        check_workers(None, "ray")
