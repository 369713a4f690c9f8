"""How a command ends, and what it says then; of processes started together the first says it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from irl_lens.processes import leads, started


def one_line(error: Exception | str) -> str:
    """An error as one line that says what to do."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}; mend that and give the same command again"
    return " ".join(str(error).split())


def leave(code: int, message: str) -> NoReturn:
    """Ends the command with a message on standard error."""
    number, count = started()
    who = "irl-lens" if count == 1 else f"irl-lens, process {number} of {count}"
    print(f"{who}: {message}", file=sys.stderr)
    raise SystemExit(code)


def as_object(values: dict[str, Any]) -> None:
    """Prints a result as one JSON object; a number that is not finite is null."""
    from irl_lens.hooks.files.json_text import to_json

    if leads():
        print(to_json(values, indent=2))


def written(paths: Iterable[Path], as_json: bool) -> None:
    """Prints files or folders, each as soon as it is there."""
    told = []
    for path in paths:
        told.append(str(path))
        if leads() and not as_json:
            print(path, flush=True)
    if as_json:
        as_object({"written": told})


def measured(values: Mapping[str, float], files: Sequence[Path], as_json: bool) -> None:
    """Prints measurements, and the files that have been written."""
    if as_json:
        as_object({"measured": dict(sorted(values.items())), "written": [*map(str, files)]})
        return
    if leads():
        print("\n".join(f"{name} {value:.6g}" for name, value in sorted(values.items())))
    written(files, False)
