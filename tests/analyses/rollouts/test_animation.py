"""One episode: what is shown is what was done, and files of it can be written."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch

from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.figures.style import MAIN
from irl_lens.analyses.rollouts.animation import (
    Animation,
    animate,
    animate_rollout,
    solvable,
)
from irl_lens.analyses.rollouts.animation_export import MILLISECONDS, SIDE, picture, rgb
from irl_lens.errors import UserError
from irl_lens.models.baselines import TrueSwitching
from irl_lens.models.policy import LatentPolicy
from irl_lens.rl.oracle import OracleCodes
from irl_lens.runs.run import Run

if TYPE_CHECKING:
    from tests.analyses.conftest import Steered


def _played(steered: Steered, seed: int = 3) -> Animation:
    """The true subgoal's code, which is known to lead there; the gate opens on coloured cells."""
    world, unit = steered.field.world, np.eye(4)
    situation = solvable(world, (0, 2, 1), seed)
    actor = OracleCodes(torch.eye(4), steered.meta)
    return animate(steered.field.base, world, situation, actor, unit, "planted codes", seed)


@pytest.fixture(scope="module")
def planted(steered: Steered) -> Animation:
    """An episode in which the whole task is done."""
    found = (_played(steered, seed) for seed in range(20))
    return next(shown for shown in found if shown.reached == 3)


def test_codes_gate_and_actions_are_those_that_acted(planted: Animation) -> None:
    steps = len(planted.actions)
    assert len(planted.path) == len(planted.pictures) == steps + 1
    np.testing.assert_array_equal(planted.alike, planted.subgoals)
    np.testing.assert_array_equal(planted.switches, planted.begins)
    np.testing.assert_array_equal(planted.switches, planted.beta >= 0.5)
    np.testing.assert_allclose(planted.alone, 0.25, atol=1e-6)
    taken = planted.meant[np.arange(steps), planted.actions]
    assert taken.min() > 0.3 and planted.changed.min() > 0.4
    np.testing.assert_allclose(planted.meant.sum(axis=1), 1, atol=1e-5)


def test_the_path_is_the_one_that_actions_lead_along(planted: Animation) -> None:
    things = {thing.place: thing.label for thing in planted.scene.things}
    passed = [things[place] for place in planted.path[1:].tolist() if place in things]
    assert passed == ["0", "2", "1"] and planted.path[0] == planted.scene.agent
    steps = np.array([[move.dx, move.dy] for move in planted.scene.moves])[planted.actions]
    moved = np.diff(planted.trail, axis=0)
    assert ((moved == steps) | (moved == 0)).all() and moved.any(axis=1).mean() > 0.5
    np.testing.assert_array_equal(planted.trail @ [1, planted.scene.width], planted.path)


def test_the_caption_counts(planted: Animation) -> None:
    said = planted.caption()
    assert "played by planted codes: 3 of 3 subgoals" in said
    assert "the gate opens at 2 steps, 2 of them among the 2" in said and "on 1.00 of steps" in said
    table = planted.to_dataframe()
    assert isinstance(table, pd.DataFrame) and len(table) == len(planted.actions)
    assert table.switch.sum() == 3 and set(table.subgoal) == {"0", "1", "2"}


def test_codes_that_do_nothing_change_nothing(steered: Steered) -> None:
    shown = _played(steered.deaf())
    np.testing.assert_allclose(shown.meant, shown.alone, atol=1e-6)
    assert shown.reached == shown.alone_reached and "variation of 0.000" in shown.caption()


def test_every_frame_moves_the_same_traces(planted: Animation) -> None:
    figure: Any = planted.figure()
    assert [frame.name for frame in figure.frames] == [str(t) for t in range(len(planted.path))]
    for step, frame in enumerate(figure.frames):
        assert frame.traces == figure.frames[0].traces
        walked, agent, bars, _, *cursors = frame.data
        assert len(walked.x) == step + 1
        x, y = planted.scene.xy(int(planted.path[step]))
        assert np.mean(agent.x[:-1]) == pytest.approx(x) and np.mean(agent.y[:-1]) == pytest.approx(
            y
        )
        assert all(cursor.x == (step, step) for cursor in cursors)
        if step < len(planted.actions):
            colours = list(bars.marker.color)
            assert colours.index(MAIN) == planted.actions[step]
            np.testing.assert_allclose(bars.y, planted.meant[step])
    kinds = {figure.data[index].type for index in figure.frames[0].traces}
    assert kinds == {"scatter", "bar"}
    play, pause = figure.layout.updatemenus[0].buttons
    assert (play.label, pause.label) == ("play", "pause")
    assert len(figure.layout.sliders[0].steps) == len(figure.frames)


def test_pictures_have_the_board_and_a_bar_towards_the_likely_action(planted: Animation) -> None:
    shown = picture(planted, 0)
    height, width = planted.pictures[0].shape[:2]
    assert shown.shape[1] == width + width % 2 + SIDE and not shown.shape[0] % 2
    np.testing.assert_array_equal(shown[:height, :width], planted.pictures[0])
    blue = np.argwhere((shown[:, width + width % 2 :] == rgb(MAIN)).all(axis=-1))
    middle = blue.min(axis=0) + np.ptp(blue, axis=0) / 2
    move = planted.scene.moves[int(planted.meant[0].argmax())]
    assert (
        np.dot(
            middle - [(shown.shape[0] + 4 + shown.shape[0] // 6) / 2, SIDE / 2], [move.dy, move.dx]
        )
        > 0
    )
    assert (picture(planted, len(planted.actions))[:, width + width % 2 :] == 255).all()


def test_files_need_imageio_and_say_so(
    planted: Animation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imageio", None)
    monkeypatch.setitem(sys.modules, "imageio.v3", None)
    assert planted.pages() == {}
    with pytest.raises(UserError, match=r"\.gif files need imageio: pip install 'imageio'"):
        planted.export(tmp_path / "rollout.gif")
    with pytest.raises(UserError, match=r"pip install 'imageio\[ffmpeg\]'"):
        planted.export(tmp_path / "rollout.mp4")
    with pytest.raises(UserError, match=r"ends in '\.avi'; take one of \.gif, \.mp4"):
        planted.export(tmp_path / "rollout.avi")
    assert not list(tmp_path.iterdir())


def test_a_gif_has_every_step(planted: Animation, tmp_path: Path) -> None:
    imageio = pytest.importorskip("imageio.v3")
    frames = imageio.imread(planted.export(tmp_path / "rollout.gif"), index=None)
    assert frames.shape[1:] == picture(planted, 0).shape and len(frames) <= len(planted.path)
    meta = imageio.immeta(tmp_path / "rollout.gif")
    assert meta["duration"] >= MILLISECONDS and meta["loop"] == 0
    assert list(planted.pages()) == ["rollout.gif"]


def test_a_run_s_own_policy_is_shown(smoke_run: Run, tmp_path: Path) -> None:
    loaded = LoadedRun(smoke_run)
    shown = animate_rollout(loaded, episodes=24)
    assert shown.player == "the internal policy"
    assert shown.task == tuple(loaded.world.heldout_subgoals)
    assert 1 <= len(shown.actions) <= loaded.world.horizon
    assert shown.save(tmp_path / "rollout").exists()


def test_a_policy_without_a_gate_is_refused(smoke_run: Run) -> None:
    meta, world = smoke_run.metacontroller, smoke_run.world
    told = TrueSwitching(meta.decoder, meta.hook_name, smoke_run.device)
    actor = LatentPolicy(smoke_run.policy.network, told)
    board, means = solvable(world, world.heldout_subgoals, 0), np.zeros((4, meta.decoder.n_z))
    with pytest.raises(UserError, match=r"internal_rl\.switching=gate"):
        animate(smoke_run.fast, world, board, actor, means, "a policy")
