"""One process at a time writes to a run's folder: its lock.

The lock is the kernel's, on the file ``.lock``: it ends with its process, however that ends,
so none is ever left behind. ``.lock.json`` says who has it. Neither is part of the run.
"""

from __future__ import annotations

import errno
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from irl_lens.errors import UserError
from irl_lens.files.json_files import read_json, write_json
from irl_lens.files.targets import alive, make_folder
from irl_lens.files.tensors import CheckpointError
from irl_lens.processes import leads

FILES = (".lock", ".lock.json")
"""What a lock leaves in the folder."""
_LOCKLESS = (errno.ENOLCK, errno.EOPNOTSUPP)


class BusyError(UserError):
    """Another process, or another thread of this one, has the run."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps others from training in a run's folder; a thread may lock one again.

    Of processes that train together the first has it for all.

    Args:
        folder: The run's folder, made when it is missing.

    Raises:
        BusyError: If somebody else has it: who, and since when.
        UserError: If the file system has no locks.
        OSError: If the folder cannot be written to.
    """
    if not leads():
        yield
        return
    lock_file, holder = (folder.resolve() / name for name in FILES)
    make_folder(lock_file)
    # The same path gives the same lock: what it counts are the times that this thread has it.
    lock = FileLock(lock_file, blocking=False, is_singleton=True)
    try:
        lock.acquire()
    except Timeout:
        raise BusyError(_busy(folder, holder)) from None
    except OSError as error:
        if error.errno not in _LOCKLESS:
            raise
        raise UserError(
            f"{folder} is on a file system without locks ({error.strerror}); choose a folder on "
            "another one with --out"
        ) from error
    try:
        if lock.lock_counter == 1:
            write_json(holder, _me())
        yield
    finally:
        if lock.lock_counter == 1:
            holder.unlink(missing_ok=True)
        lock.release()


def holder(folder: Path) -> dict[str, int | str] | None:
    """Who trains in a run's folder, without getting in anybody's way.

    Returns:
        ``pid``, ``host`` and ``since``; None if nobody says so, or the process that did is gone.
        Of a process on another machine nobody here knows whether it is still there.
    """
    try:
        who = read_json(folder / FILES[1], "")
        here = who["host"] == platform.node()
        return None if here and not alive(int(who["pid"])) else who
    except (CheckpointError, KeyError, TypeError, ValueError):
        return None


def _me() -> dict[str, int | str]:
    since = datetime.now().astimezone().isoformat(" ", "seconds")
    return {"pid": os.getpid(), "host": platform.node(), "since": since}


def _busy(folder: Path, holder: Path) -> str:
    try:
        who = "process {pid} on {host} since {since}".format(**read_json(holder, ""))
    except (CheckpointError, KeyError, TypeError):  # it has only just come, or is about to go
        who = "another process"
    return (
        f"{folder} is being trained in by {who}; wait until it has ended, stop it, or choose "
        "another folder with --out"
    )
