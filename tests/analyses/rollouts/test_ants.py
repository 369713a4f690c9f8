"""Analyses that let agents act, where actions are real: an untrained model among ants."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from irl_lens.analyses.codes.algebra import combine
from irl_lens.analyses.codes.harvest import harvest
from irl_lens.analyses.codes.transfer import inject
from irl_lens.analyses.core.switch_codes import SwitchCodes
from irl_lens.analyses.figures.style import MAIN
from irl_lens.analyses.gate.counterfactual import edit_gate
from irl_lens.analyses.patching.pairs import edits_of
from irl_lens.analyses.rollouts.animation import Animation, animate, solvable
from irl_lens.analyses.rollouts.animation_export import SIDE, picture, rgb
from irl_lens.analyses.rollouts.component_patches import patch_parts
from irl_lens.analyses.rollouts.shown_episode import FRAMES
from irl_lens.analyses.rollouts.taskless import Field
from irl_lens.config.schema import BaseConfig, CodesConfig
from irl_lens.envs.ant.spec import AntConfig
from irl_lens.envs.ant.world import AntWorld
from irl_lens.errors import UserError
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.fast import FastPath
from irl_lens.models.segments import SegmentMetacontroller
from irl_lens.rl.oracle import OracleCodes

ROWS, LATENT = 8, 3


@pytest.fixture(scope="module")
def field() -> Field:
    world = AntWorld(AntConfig(size=3, horizon=10))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        base = BaseConfig(d_model=16, n_layers=2, n_heads=2, d_mlp=16)
        model = TrajectoryModel(base, world.observation, world.actions).frozen()
    return Field(FastPath(model), world, ROWS, seed=5)


@pytest.fixture(scope="module")
def meta() -> SegmentMetacontroller:
    """Its gate opens now and then, at no step in all rows; its codes steer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        codes = CodesConfig(layer=1, history=2, hidden=4, latent=LATENT)
        meta = SegmentMetacontroller(codes, 16).requires_grad_(False)
        meta.decoder.matrices.data.normal_()  # type: ignore[union-attr]
    return meta


@pytest.fixture(scope="module")
def codes() -> SwitchCodes:
    rng = np.random.default_rng(0)
    drawn = rng.standard_normal((40, LATENT)).astype(np.float32)
    return SwitchCodes(drawn, np.arange(40) % 4, np.arange(40) // 2)


def test_a_gate_forced_with_the_code_in_force_changes_no_ant(field, meta, codes) -> None:
    found = edit_gate(field, meta, codes, (2, 4))
    same = [x.unchanged for x in found.changes if x.unchanged is not None]
    assert [x.changed.value for x in same] == [0, 0]
    assert any(x.effect.changed.value == 1 for x in found.changes)
    assert found.figure().data and len(found.to_dataframe()) == 5


def test_patches_of_an_ant_s_own_activations_change_nothing(field, meta, codes) -> None:
    found = patch_parts(field, meta, codes, (3,))
    parts = {part.part: part.effects for part in found.parts}
    assert all(effects["self"].changed.value == 0 for effects in parts.values())
    # No two ants are the same: what is not to the bit the same torque leads elsewhere.
    assert parts["z"]["random"].changed.value == parts["U"]["targeted"].changed.value == 1
    assert found.figure().data and "(Holm)" in found.caption()


def test_codes_are_put_into_ants(field, meta, codes) -> None:
    found = inject(field, meta, codes, later=4)
    assert [rate.subgoal for rate in found.rates[:4]] == list(field.world.subgoal_names)
    assert found.totals[0].episodes == ROWS and found.figure().data


def test_a_base_that_gets_nowhere_leaves_no_codes(field, meta) -> None:
    with pytest.raises(UserError, match=f"reaches no subgoal in {ROWS} episodes"):
        harvest(field, meta)


def test_controllers_of_ants_are_combined(field, meta, codes) -> None:
    shown = AntWorld(AntConfig(size=3, horizon=300)).demonstrate(2, seed=0)
    two = replace(codes, labels=codes.labels % 2)
    found = combine(field, meta, two, shown, draws=1)
    assert len(found.singles) == 2 and len(found.pairs) == 1
    assert all(pair.stream.value > 0 and pair.order.changed.value == 1 for pair in found.pairs)
    assert found.figure().data and len(found.to_dataframe()) == 3


@pytest.fixture(scope="module")
def episode(field_of_long_episodes, meta) -> Animation:
    field = field_of_long_episodes
    situation, given = solvable(field.world, (1, 0), 2), torch.eye(4)[:, :LATENT]
    actor = OracleCodes(given, meta)
    return animate(field.base, field.world, situation, actor, given.numpy(), "planted codes")


@pytest.fixture(scope="module")
def field_of_long_episodes(field) -> Field:
    """Long enough for the expert, whose demonstrations arenas are drawn from."""
    return replace(field, world=AntWorld(AntConfig(size=3, horizon=300)))


def test_an_ant_is_shown_where_it_is(episode: Animation) -> None:
    steps = len(episode.actions)
    assert episode.trail.shape == (steps + 1, 2) and episode.meant.shape == (steps, 8)
    assert episode.trail[0].tolist() == pytest.approx(episode.scene.point, abs=1e-5)
    step = np.linalg.norm(np.diff(episode.trail, axis=0), axis=1)
    assert 0 < step.max() < 0.2 and step[-1] > 0  # the end is one more step, not the last again
    assert episode.deviations is not None and (episode.deviations > 0).all()
    z = (episode.actions - episode.meant) / episode.deviations
    assert z.std() == pytest.approx(1, abs=0.2)
    assert "deviations an entry" in episode.caption()
    table = episode.to_dataframe()
    np.testing.assert_array_equal(table.hip1_done, episode.actions[:, 0])


def test_every_picture_of_an_ant_moves_the_same_traces(episode: Animation) -> None:
    figure = episode.figure()
    assert [int(frame.name) for frame in figure.frames] == list(episode.frames)
    for at, frame in zip(episode.frames, figure.frames, strict=True):
        walked, disc, bars, _, dots, *_ = frame.data
        assert len(walked.x) == at + 1
        np.testing.assert_allclose([np.mean(disc.x[:-1]), np.mean(disc.y[:-1])], episode.trail[at])
        if at < len(episode.actions):
            np.testing.assert_array_equal(bars.y, episode.meant[at])
            np.testing.assert_array_equal(dots.y, episode.actions[at])
    assert episode.frames[0] == 0 and episode.frames[-1] == len(episode.actions)
    assert len(episode.frames) <= FRAMES + 1
    shown = picture(episode, 0)
    assert shown.shape == (112, 96 + SIDE, 3)
    blue = (shown[:, 96:] == rgb(MAIN)).all(axis=2)
    assert blue.any()


def test_subgoals_that_are_colours_have_theirs(episode: Animation) -> None:
    things = {thing.label: thing.color for thing in episode.scene.things}
    assert episode.palette == tuple(things[name] for name in "0123")


def test_pairs_of_an_ant_s_episodes_are_of_two_demonstrations(field) -> None:
    """Its things cannot be edited under a body that has walked among them already."""
    assert edits_of(field.world) == ("demonstration",)
