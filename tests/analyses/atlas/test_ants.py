"""An atlas of controllers of ants: paths, velocities and changes of torques on a few arenas."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from irl_lens.analyses.atlas import Atlas
from irl_lens.analyses.atlas.boards import Motion
from irl_lens.analyses.atlas.describe import Setting, describe
from irl_lens.analyses.atlas.entry import Entry
from irl_lens.analyses.atlas.figures import occupancy
from irl_lens.analyses.atlas.motion_figures import changes, paths, velocities
from irl_lens.analyses.atlas.subjects import Subject
from irl_lens.analyses.atlas.weights import written_to
from irl_lens.analyses.core.result import write
from irl_lens.analyses.rollouts.taskless import Field
from irl_lens.config.schema import BaseConfig
from irl_lens.envs.ant.spec import AntConfig
from irl_lens.envs.ant.world import AntWorld
from irl_lens.hooks import FullController
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.fast import FastPath

HOOK = "blocks.0.hook_resid_post"


@pytest.fixture(scope="module")
def found() -> Atlas:
    """Of a controller that is nothing and of one at random, of an untrained base."""
    world = AntWorld(AntConfig(size=3, horizon=300))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = BaseConfig(d_model=16, n_layers=1, n_heads=2, d_mlp=16)
        base = FastPath(TrajectoryModel(config, world.observation, world.actions).frozen())
        drawn = FullController(torch.randn(16, 16), HOOK)
    still = FullController(torch.zeros(16, 16), HOOK)
    subjects = [Subject("0", 0, drawn), Subject("1", 1, still)]
    field = Field(base, replace_horizon(world, 12), 6, seed=5)
    weights = {}, written_to(base.model, 1)
    setting = Setting(agents=6, draws=9)
    return describe("controllers", subjects, weights, field, [world.situation(1)], setting)


def replace_horizon(world: AntWorld, horizon: int) -> AntWorld:
    """The same with shorter episodes; the expert's are longer."""
    return AntWorld(replace(world.settings, horizon=horizon))


def motions(entry: Entry) -> dict[str, Motion]:
    views = entry.boards[0].views
    assert all(view.actions is None for view in views.values())
    return {kind: view.motion for kind, view in views.items() if view.motion is not None}


def test_a_controller_that_is_nothing_moves_nothing(found: Atlas) -> None:
    drawn, still = map(motions, found.entries)
    assert set(drawn) == set(still) == {"steered", "placebo", "alone"}
    same, alone, moved = still["steered"], still["alone"], drawn["steered"]
    for name in ("trails", "reached", "velocities"):
        np.testing.assert_array_equal(getattr(same, name), getattr(alone, name))
    assert set(same.changes.values()) == set(alone.changes.values()) == {0.0}
    assert list(moved.changes) == list(AntWorld(AntConfig()).actions.labels)
    assert min(moved.changes.values()) > 0
    assert (moved.velocities != alone.velocities).any() and (moved.trails != alone.trails).any()


def test_figures_show_every_board_three_times(found: Atlas) -> None:
    drawn, still = found.entries
    for entry in (drawn, still):
        traces: Any = velocities(entry).data
        arrows = [trace for trace in traces if trace.name == "velocity"]
        points = motions(entry)["alone"].points
        assert [len(arrow.x) for arrow in arrows] == [5 * len(points)] * 3
        lines: Any = paths(entry, found.names).data
        assert len(lines) == 3 * (2 + 1 + len(found.names))
        assert occupancy(entry).data
    bars: Any = changes(drawn).data
    assert [len(bar.x) for bar in bars] == [8, 8] and min(bars[0].y) > 0


def test_failures_are_paths_of_points_and_pages_have_all_figures(
    found: Atlas, tmp_path: Path
) -> None:
    for entry in found.entries:
        for failure in entry.behaviour.failures:
            assert failure.path.shape[1] == 2 and np.isfinite(failure.path).all()
            np.testing.assert_allclose(failure.path[0], failure.scene.point, atol=1e-5)
    write(found, tmp_path / "atlas", "Atlas")
    page = (tmp_path / "atlas" / "controller-0.html").read_text()
    for said in ("mean velocity over the first", "paths of 6 agents", "along a demonstration"):
        assert said in page
    assert "first actions" not in page and "put down at rest" in page
    scores = {score.target for score in found.entries[0].scores}
    assert scores == {"action means"}
