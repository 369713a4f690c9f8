"""Where files are written: a place that is free, or a regular file that is to be replaced.

A symbolic link is followed, so what it leads to is replaced and the link stays. A file is
written under a temporary name, ``.NAME.PID.tmp`` in the same folder, and renamed; those of
processes that were killed go when the same file is written again.
"""

from __future__ import annotations

import os
import re
import sys
from glob import escape
from pathlib import Path

from irl_lens.errors import UserError

_TEMPORARY = re.compile(r"\..+\.(\d+)\.tmp")


def destination(path: Path | str) -> Path:
    """The file that writing to a path makes or replaces, at the end of any symbolic links.

    Raises:
        UserError: If something is there that is no regular file, such as a device or a folder.
    """
    path, end = Path(path), Path(os.path.realpath(path))
    if path.is_dir():
        raise UserError(f"{path} is a folder; give the name of a file")
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is a device or a pipe, which is not replaced; give a file")
    if end.is_symlink():
        raise UserError(f"{path} is a symbolic link that leads back to itself; give a file")
    return end


def require_writable(path: Path | str) -> None:
    """Makes sure that a file can be written, before the work that makes its content.

    Args:
        path: The file. Nothing is left of the trial; folders that are missing are made and
            taken away again.

    Raises:
        UserError: If something is there that is no regular file.
        OSError: If nothing can be written there.
    """
    end = destination(path)
    missing = [folder for folder in end.parents if not folder.exists()]
    make_folder(end)
    trial = temporary_of(end)
    try:
        trial.touch()
    except OSError as error:
        error.filename = str(path)  # and not a name that nobody has asked for
        raise
    trial.unlink()
    for folder in missing:
        folder.rmdir()


def make_folder(file: Path) -> None:
    """Makes the folder of a file.

    Raises:
        UserError: If a file is in its place.
        OSError: If it cannot be made.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        there = next(path for path in file.parents if path.exists())
        raise UserError(f"{there} is no folder, so {file} cannot be written") from error


def require_empty(folder: Path) -> None:
    """Makes sure that a folder is not there yet, or has nothing in it, and can be written to.

    Raises:
        UserError: If something is there.
        OSError: If nothing can be written there.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty; give another folder")
    require_writable(folder / "file")


def temporary_of(file: Path) -> Path:
    """Where this process writes before it renames."""
    return file.with_name(f".{file.name}.{os.getpid()}.tmp")


def is_temporary(path: Path) -> bool:
    """Whether a name is one of :func:`temporary_of`, of any process."""
    return _TEMPORARY.fullmatch(path.name) is not None


def remove_leftovers(file: Path) -> None:
    """Removes what processes that are gone left of writing a file."""
    for path in file.parent.glob(f".{escape(file.name)}.*.tmp"):
        found = _TEMPORARY.fullmatch(path.name)
        if found and not alive(int(found[1])):
            path.unlink(missing_ok=True)


def alive(pid: int) -> bool:
    """Whether there is a process of that number on this machine, as far as one can ask."""
    if sys.platform == "win32":  # where asking would end the process
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
