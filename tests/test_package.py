"""What is installed, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_folder_with_code_is_listed_as_a_package() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    rooms = {"irl_lens": "irl_lens", "hooks": "irl_lens.hooks", "analyses": "irl_lens.analyses"}
    found = {
        ".".join([name, *path.parent.relative_to(ROOT / folder).parts])
        for folder, name in rooms.items()
        for path in (ROOT / folder).rglob("*.py")
    }
    # The symlinks may or may not have been followed; both ways are the same packages.
    assert sorted(found) == sorted(listed)


def test_importing_the_package_and_its_worlds_brings_no_torch() -> None:
    code = (
        "import sys, irl_lens, irl_lens.presets, irl_lens.envs.world;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformer_lens')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
