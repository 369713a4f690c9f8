"""The annotations are checked while tests run, and by no one else."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

from irl_lens.analyses.stats.estimates import proportion
from irl_lens.data.demonstrations import stream_seed
from irl_lens.envs.pinpad.layouts import Layouts
from irl_lens.hooks import Gate
from irl_lens.rl.ppo import advantages


def test_wrong_shapes_types_and_fields_are_errors_here() -> None:
    with pytest.raises(TypeCheckError, match="returns"):
        advantages(torch.zeros(3, 2))
    with pytest.raises(TypeCheckError, match="start"):
        Layouts(np.zeros((3, 2), np.int64), np.zeros(4, np.int64))
    with pytest.raises(TypeCheckError, match="marks"):
        proportion(np.zeros(3))  # type: ignore[arg-type]
    with pytest.raises(TypeCheckError, match="index"):
        stream_seed(0, "test", "1")  # type: ignore[arg-type]
    with pytest.raises(TypeCheckError, match="proposal"):
        Gate().step(torch.zeros(2, 3), torch.zeros(2, 4), torch.zeros(2))


def test_users_wait_for_no_checks() -> None:
    code = "from irl_lens.rl.ppo import advantages; exit(hasattr(advantages, '__wrapped__'))"
    assert hasattr(advantages, "__wrapped__")
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
