"""What is installed, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from setuptools import find_packages

ROOT = Path(__file__).parents[1]


def test_every_folder_with_code_is_found_as_a_package() -> None:
    rule = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    rooms = {"irl_lens": "irl_lens", "hooks": "irl_lens.hooks", "analyses": "irl_lens.analyses"}
    folders = {
        ".".join([name, *path.parent.relative_to(ROOT / folder).parts])
        for folder, name in rooms.items()
        for path in (ROOT / folder).rglob("*.py")
    }
    assert folders == set(find_packages(str(ROOT), include=rule["find"]["include"]))


def test_importing_the_package_and_its_worlds_brings_no_torch() -> None:
    code = (
        "import sys, irl_lens, irl_lens.config.presets, irl_lens.envs.pinpad.world;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformer_lens')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_tests_of_worlds_run_without_torch() -> None:
    """They are run on newer Pythons than torch has wheels for."""
    files = (ROOT / "tests" / "envs").rglob("*.py")
    modules = sorted(".".join(path.relative_to(ROOT).with_suffix("").parts) for path in files)
    code = f"import sys, {', '.join(modules)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
