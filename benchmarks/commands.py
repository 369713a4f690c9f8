"""Seconds of commands, each in a process of its own as a user has it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measuring import Setting, Values, in_turn


def measure_help(setting: Setting) -> Values:
    """``irl-lens --help``."""
    took = in_turn({"help": lambda: _run("--help")}, setting)
    return {"cli.help_s": took["help"]}


def measure_report(setting: Setting) -> Values:
    """``irl-lens report grid``, of the bundled model, evaluated live: once, as it takes long."""
    with TemporaryDirectory() as folder:
        out = str(Path(folder) / "report.html")
        told = ("report", "grid", "--out", out, "--no-open", "--device", str(setting.device))
        # Of a small one, that the command line knows these words.
        report = (*told, "--help") if setting.small else told
        once = replace(setting, rounds=1)
        found = in_turn({"report": lambda: _run(*report)}, once, warm=False)
    return {"report.grid.seconds": found["report"]}


def _run(*told: str) -> None:
    command = [sys.executable, "-m", "irl_lens", *told]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
