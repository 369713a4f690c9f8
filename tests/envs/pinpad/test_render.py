"""Pictures of boards."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import irl_lens.envs  # noqa: F401
from irl_lens.envs.pinpad.layouts import BoardSpec
from irl_lens.envs.pinpad.render import AGENT, PALETTE, PIXELS, WALL, palette, pixels, text

BOARD = BoardSpec(3, 2, 2)
OBJECTS = np.array([1, 3, 0, 8])


def test_text_shows_colours_walls_and_the_agent() -> None:
    assert text(BOARD, OBJECTS, 2) == " # 0@.\n 1 . .\n . . #\n"
    assert text(BOARD, OBJECTS, 3) == " # 0 .\n@1 . .\n . . #\n"


def test_text_keeps_its_columns_with_two_digit_colours() -> None:
    drawn = text(BoardSpec(4, 11, 1), np.arange(12), 15)
    assert {len(line) for line in drawn.splitlines()} == {4 * 3}
    assert " 10" in drawn and "##" in drawn


def test_pixels_show_each_object_where_it_lies() -> None:
    frame = pixels(BOARD, OBJECTS, (2, 0))
    assert frame.shape == (3 * PIXELS, 3 * PIXELS, 3) and frame.dtype == np.uint8
    corners = frame[3::PIXELS, 3::PIXELS]
    assert tuple(corners[0, 1]) == PALETTE[0] and tuple(corners[1, 0]) == PALETTE[1]
    assert tuple(corners[0, 0]) == tuple(corners[2, 2]) == WALL
    centres = frame[PIXELS // 2 :: PIXELS, PIXELS // 2 :: PIXELS]
    assert [tuple(c) == AGENT for c in centres.reshape(9, 3)] == [i == 2 for i in range(9)]


@pytest.mark.parametrize("colours", [1, 8, 9, 30])
def test_colours_are_told_apart(colours: int) -> None:
    assert len({tuple(c) for c in palette(colours)}) == colours


@pytest.mark.parametrize("mode, kind", [("ansi", str), ("rgb_array", np.ndarray)])
def test_both_environments_draw_the_same(mode: str, kind: type) -> None:
    single = gym.make("irl_lens/GridPinpad-v0", render_mode=mode)
    vector = gym.make_vec("irl_lens/GridPinpad-v0", 2, render_mode=mode)
    single.reset(seed=1)
    vector.reset(seed=0)
    frames = vector.render()
    assert frames is not None and len(frames) == 2 and isinstance(frames[1], kind)
    np.testing.assert_array_equal(frames[1], single.render())  # type: ignore[arg-type]


def test_nothing_is_drawn_without_a_render_mode() -> None:
    vector = gym.make_vec("irl_lens/GridPinpad-v0", 2)
    vector.reset(seed=0)
    assert vector.render() is None
