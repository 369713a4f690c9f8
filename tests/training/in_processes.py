"""Trains the stages of a tiny run: started by torchrun, one of several processes that do it.

The second process is killed in a step of the base, the first time; the checkpoint before is kept
beside the run.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from functools import partial
from pathlib import Path

import pytest

import tests.easy_grammar  # noqa: F401
from irl_lens.cli import main
from irl_lens.processes import leads, started
from irl_lens.training import loop, pretrain

STAGES = (
    *("base", "controllers", "metacontroller", "codes", "internal-rl", "raw-rl"),
    *("compile", "compile-rl"),
)
SETTINGS = (
    *("world.size=3", "world.colours=2", "world.walls=1", "world.horizon=20"),
    *("world.grammar=test-easy", "pretrain.steps=6", "pretrain.batch=13", "pretrain.chunk=4"),
    *("controllers.steps=3", "controllers.batch=13", "discovery.steps=3", "discovery.batch=13"),
    *("codes.steps=3", "codes.batch=13", "compile.steps=3", "compile.batch=13"),
    *("internal_rl.episodes=40", "internal_rl.batch=20", "internal_rl.share=8"),
    *("raw_rl.episodes=40", "raw_rl.batch=20", "raw_rl.share=8", "raw_rl.epochs=2"),
    *("compile_rl.episodes=40", "compile_rl.batch=20", "compile_rl.share=8"),
    *("evaluation.trajectories=16", "evaluation.rollouts=16"),
)
"""Batches that two processes cannot halve."""
LOST = 4
"""The step that the second process begins and does not end."""


EXPECTING = ("switches.steps=3", "switches.batch=13", "switches.chunk=4")
"""Has switches found without a metacontroller: another run, of the same base."""


def sweep(folder: Path, device: str) -> None:
    """All stages, as the command line runs them."""
    given = ("--preset", "smoke", "--device", device)
    main(["sweep", *STAGES, *given, "--out", str(folder), "--set", *SETTINGS])
    # The same base for all: peaks are among a few, so what rounding changes can change them.
    base = str(folder.with_name("one") / "seed0")
    other = ("--base", base, "--out", str(folder / "expecting"))
    main(["train", "switches", *given, *other, "--set", *SETTINGS, *EXPECTING])


def dying(i: int, folder: Path) -> None:
    """Kills the second process once, and keeps the checkpoint of the step before."""
    if i != LOST or os.environ["TORCHELASTIC_RESTART_COUNT"] != "0":
        return
    if leads():
        shutil.copy(next(folder.glob("*/base/state.safetensors")), folder.parent / "lost")
    elif started()[0] == 1:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    out, where = Path(sys.argv[1]), sys.argv[2]
    whole_step = pretrain.PretrainJob.step

    def step(job: pretrain.PretrainJob, i: int) -> dict[str, float]:
        """A step that one process may not survive."""
        dying(i, out)
        return whole_step(job, i)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrain.PretrainJob, "step", step)
        patch.setattr(pretrain, "train", partial(loop.train, checkpoint_seconds=0))
        sweep(out, where)
