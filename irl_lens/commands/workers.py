"""Calls in processes of their own, by joblib: on this machine, or on a Ray cluster.

A call that fails is no end of the others, and neither is a process that the system kills, as it
does when memory runs out: what was under way then is called again, one at a time.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from joblib import Parallel, cpu_count, delayed

from irl_lens.errors import UserError

BACKENDS = {"local": "loky", "ray": "ray"}
"""What joblib calls them."""
T = TypeVar("T")
Found = tuple[int, T | UserError]


def check_workers(workers: int | None, backend: str) -> int:
    """Says how many workers there are.

    Args:
        workers: How many are asked for; None for one, or for all processors of a cluster.
        backend: One of :data:`BACKENDS`.

    Returns:
        How many, as joblib counts them: -1 for as many as the cluster has processors.

    Raises:
        UserError: There are none such.
    """
    if backend not in BACKENDS:
        raise UserError(f"--backend {backend}: take {' or '.join(BACKENDS)}")
    if backend == "ray":
        _register_ray()
        if workers is not None and workers < 2:  # which joblib would make this process do
            raise UserError(f"--workers {workers}: take 2 or more with --backend ray")
    elif workers is not None and not 1 <= workers <= cpu_count():
        raise UserError(f"--workers {workers}: take 1 to {cpu_count()} here, one a core")
    return workers or (1 if backend == "local" else -1)


def in_workers(
    calls: Sequence[Callable[[], T]],
    workers: int,
    backend: str = "local",
    memory: int | None = None,
) -> Iterator[Found[T]]:
    """Makes calls, some at a time.

    Args:
        calls: What is called, as cloudpickle takes it.
        workers: How many at a time, see :func:`check_workers`.
        backend: One of :data:`BACKENDS`.
        memory: Most that each may take [bytes]; on Linux only.

    Yields:
        The number of a call and what it returned, or what it raised, in the order of their ends.
    """
    waiting = dict(enumerate(calls))
    try:
        for number, found in _parallel(waiting, workers, backend, memory):
            del waiting[number]
            yield number, found
    except Exception:  # of a worker: calls hand over theirs
        for number, call in waiting.items():
            yield _alone(number, call, backend, memory)


def share_of_threads(workers: int) -> int:
    """Threads for each of several workers, so that all together have the cores of this machine."""
    return max(1, cpu_count() // workers)


def share_of_memory(workers: int) -> int | None:
    """What each of several workers may take of this machine's memory [bytes], if that is known."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // workers
    except (AttributeError, OSError, ValueError):
        return None


def _parallel(
    calls: Mapping[int, Callable[[], T]], workers: int, backend: str, memory: int | None
) -> Iterator[Found[T]]:
    how: Any = {"batch_size": 1, "return_as": "generator_unordered"}
    pool: Any = Parallel(n_jobs=workers, backend=BACKENDS[backend], **how)
    command = list(sys.argv)
    yield from pool([delayed(_attempt)(n, call, memory, command) for n, call in calls.items()])


def _alone(number: int, call: Callable[[], T], backend: str, memory: int | None) -> Found[T]:
    try:
        return next(_parallel({number: call}, 2, backend, memory))  # one would be this process
    except Exception as error:
        why = str(error).split(". ")[0] or type(error).__name__
        return number, UserError(f"its process ended ({why}); see that it has memory enough")


def _attempt(
    number: int, call: Callable[[], T], memory: int | None, command: list[str]
) -> Found[T]:
    sys.argv[:] = command  # which records tell
    with _at_most(memory):
        return number, attempt(call)


def attempt(call: Callable[[], T]) -> T | UserError:
    """Makes a call; of what it raises, says what there is to say. Ctrl-C is no failure."""
    try:
        return call()
    except (UserError, OSError) as error:
        return UserError(str(error))  # an error's own kind may not travel between processes
    except Exception as error:
        traceback.print_exc()  # a bug
        return UserError(f"{type(error).__name__}: {error}")


@contextmanager
def _at_most(memory: int | None) -> Iterator[None]:
    """Refuses this process more memory; what asks for it fails, and nothing is killed."""
    if memory is None or sys.platform != "linux":
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (memory, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _register_ray() -> None:
    try:
        from ray.util.joblib import register_ray  # type: ignore[import-not-found]
    except ImportError as error:
        raise UserError(f'--backend ray: {error}; pip install "irl-lens[ray]"') from error
    register_ray()
