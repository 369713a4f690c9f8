"""Of an ant's world tasks and the noise of demonstrations can be other, and nothing else."""

from __future__ import annotations

import pytest

from irl_lens.envs.ant.spec import AntConfig
from irl_lens.envs.ant.world import AntWorld
from irl_lens.envs.contracts import Varied
from irl_lens.errors import UserError

WORLD = AntWorld(AntConfig(size=3, horizon=120, noise=0.5))


def test_tasks_and_noise_can_be_other() -> None:
    assert isinstance(WORLD, Varied)
    assert WORLD.variations == ("task=1-2-3", "task=0-2-1-3", "noise=1")
    other, noisy = WORLD.varied("task=3-1"), WORLD.varied("noise=1.5")
    assert other.heldout_subgoals == (3, 1) and noisy.heldout_subgoals == (0, 1, 2, 3)
    assert other.observation == noisy.observation == WORLD.observation
    _, info = other.vector_env(2).reset(seed=0)
    assert info["subgoal"].tolist() == [3, 3]
    assert isinstance(noisy, AntWorld) and noisy.settings.noise == 1.5


@pytest.mark.parametrize("variation", ["walls=2", "moved", "epsilon=0.1", "size=5", ""])
def test_nothing_else_can(variation: str) -> None:
    with pytest.raises(UserError, match="nothing can be other than in training but the task"):
        WORLD.varied(variation)


@pytest.mark.parametrize(
    ("variation", "said"),
    [
        ("noise=much", "noise=much: could not convert .*; write noise= and a number"),
        ("noise=-1", "noise=-1: noise -1.0; take a number from 0 to 10"),
        ("task=7", "no subgoal '7'; join some of 0, 1, 2, 3"),
    ],
)
def test_values_that_cannot_be_are_refused(variation: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        WORLD.varied(variation)
