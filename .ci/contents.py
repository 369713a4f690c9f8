"""Whether a wheel and an sdist hold every file of the package that is committed.

python .ci/contents.py CLONE FILE..
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path


def committed(clone: Path) -> set[str]:
    """Files of the package, by the name they are installed under."""
    command = ["git", "ls-files", "irl_lens", "hooks", "analyses"]
    listed = subprocess.run(command, cwd=clone, check=True, capture_output=True, text=True).stdout
    files = (name for name in listed.splitlines() if not (clone / name).is_symlink())
    return {name if name.startswith("irl_lens/") else f"irl_lens/{name}" for name in files}


def packed(path: Path) -> set[str]:
    """Files in a wheel or an sdist, by the name they are installed under."""
    if path.suffix == ".whl":
        return set(zipfile.ZipFile(path).namelist())
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    rooms = ("hooks/", "analyses/")
    return names | {f"irl_lens/{name}" for name in names if name.startswith(rooms)}


def main(clone: str, *paths: str) -> None:
    """Exits with what is missing."""
    wanted = committed(Path(clone))
    for path in map(Path, paths):
        if missing := sorted(wanted - packed(path)):
            sys.exit(f"{path.name} lacks {', '.join(missing)}")


main(*sys.argv[1:])
