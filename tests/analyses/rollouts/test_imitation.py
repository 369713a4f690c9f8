"""What the base does by itself is counted against what the expert does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.rollouts.imitation import Imitation, completed, imitation
from irl_lens.analyses.stats.estimates import proportion
from irl_lens.envs.ant.rules import End
from irl_lens.envs.ant.spec import AntConfig
from irl_lens.envs.ant.success import outcomes
from irl_lens.envs.ant.world import AntWorld
from irl_lens.envs.contracts import Fallible
from irl_lens.envs.pinpad.world import PinpadWorld
from irl_lens.envs.registry import SMALL_GRID, make_world
from irl_lens.runs.run import Run


def test_a_task_counts_only_if_it_was_done_from_the_start() -> None:
    reached = np.array([[0, 2, 1], [0, 2, -1], [1, 0, 2], [2, 1, -1], [-1, -1, -1]])
    assert completed(reached, [(0, 2, 1)]).tolist() == [True, False, False, False, False]
    assert completed(reached, [(0, 2), (2, 1)]).tolist() == [True, True, False, True, False]


@pytest.mark.parametrize(
    "world", [PinpadWorld(replace(SMALL_GRID, horizon=8)), AntWorld(AntConfig(size=3, walls=3))]
)
def test_the_tasks_that_are_possible_are_those_of_the_situations(
    world: PinpadWorld | AntWorld,
) -> None:
    env, tasks = world.roaming(6, 3), world.training_tasks[:5]
    env.reset(seed=3)
    found = env.possible(tasks)
    wanted = [[world.stage(env.plain(i, task)).solvable for task in tasks] for i in range(6)]
    assert found.tolist() == wanted and 0 < found.sum() < found.size


def test_an_ant_s_expert_is_tried_as_it_is_measured() -> None:
    world = AntWorld(AntConfig(size=3, horizon=120))
    assert isinstance(world, Fallible) and not isinstance(make_world(SMALL_GRID), Fallible)
    for noise in (False, True):
        share = world.settings.noise * noise
        found = outcomes(world, world.gait, 12, 5, "heldout", share)
        assert world.attempts(12, 5, "heldout", noise).mean() == found[End.SUCCESS.name.lower()]


def test_a_share_of_an_expert_that_fails_is_larger() -> None:
    half, most = (proportion(np.arange(100) < n) for n in (50, 80))
    never = Imitation(half, 100, {})
    assert never.of_expert == 0.5 and "never fails" in never.caption()
    fails = replace(never, experts={"solvable": most, "sampled": half})
    assert fails.of_expert == pytest.approx(0.625)
    assert "does it in 80.0 %, and 50.0 % with the noise" in fails.caption()
    assert fails.to_dataframe()["success"].tolist() == [0.5, 0.8, 0.5]
    assert "0.625 of the expert's" in str(fails.figure().to_dict()["layout"]["title"])


def test_on_a_run(smoke_run: Run) -> None:
    found = imitation(LoadedRun(smoke_run))
    assert 0 < found.episodes <= smoke_run.preset.evaluation.rollouts and not found.experts
    assert found.of_expert == found.base.value
