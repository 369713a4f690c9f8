"""What importing the interventions costs."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("transformer_lens", "transformers", "pandas", "sklearn", "plotly", "gymnasium", "mujoco")


def test_importing_is_torch_and_little_more_and_warns_of_nothing() -> None:
    code = f"import sys, irl_lens.hooks; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
