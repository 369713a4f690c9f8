"""The navigator's paths are shortest, its lines are clear, and its boxes are what geometry says."""

from __future__ import annotations

import numpy as np

from irl_lens.envs.ant.arena import Arena
from irl_lens.envs.ant.navigator import MARGIN, Navigator
from irl_lens.envs.pinpad.layouts import BoardSpec, Layouts, sample_layouts
from irl_lens.envs.pinpad.planner import UNREACHABLE, distances

BOARD, ARENA = BoardSpec(4, 4, 1), Arena(4, 1.5)
CENTRES = ARENA.centres


def navigator(layouts: Layouts) -> Navigator:
    return Navigator.of(BOARD, layouts, ARENA)


def test_every_cell_of_a_path_is_one_nearer() -> None:
    layouts = sample_layouts(BOARD, 50, np.random.default_rng(0))
    paths, distance = navigator(layouts).paths, distances(BOARD, layouts)
    along = np.take_along_axis(distance[..., None], paths, axis=2)
    reach = (distance < UNREACHABLE) & (distance > 0)
    fewer = np.maximum(distance[..., None] - np.arange(1, 6), 0)
    assert reach.any() and (along[reach] == fewer[reach]).all()


def test_who_stands_on_the_goal_leaves_and_comes_back() -> None:
    layouts = Layouts(np.array([[5, 3, 12, 15, 0]]), np.array([10]))
    nav = navigator(layouts)
    goal = np.array([5])
    path = nav.paths[0, 0, 5]
    assert path[0] != 5 and (path[1:] == 5).all()
    way = nav.directions(CENTRES[goal], np.zeros((1, 2)), np.array([0]))
    ahead = CENTRES[path[0]] - CENTRES[5]
    np.testing.assert_allclose(way, np.arctan2(ahead[1], ahead[0]))


def test_it_cuts_free_corners_and_goes_round_blocked_ones() -> None:
    free = Layouts(np.array([[5, 3, 12, 15, 11]]), np.array([0]))
    blocked = Layouts(np.array([[5, 1, 12, 15, 11]]), np.array([0]))
    at, still, goal = CENTRES[[0]], np.zeros((1, 2)), np.array([0])
    cut = navigator(free).directions(at, still, goal)
    round_it = navigator(blocked).directions(at, still, goal)
    np.testing.assert_allclose(cut, -np.pi / 4)
    np.testing.assert_allclose(round_it, -np.pi / 2)


def test_the_place_is_run_ahead_of_the_velocity() -> None:
    nav = navigator(Layouts(np.array([[3, 13, 12, 15, 14]]), np.array([0])))
    moving = nav.directions(CENTRES[[0]], np.array([[0.0, 1.0]]), np.array([0]))
    assert -np.pi / 2 < moving[0] < 0


def test_segments_meet_squares_as_points_along_them_do() -> None:
    rng = np.random.default_rng(1)
    layouts = sample_layouts(BOARD, 200, rng)
    nav = navigator(layouts)
    start, ends = rng.uniform(-3, 3, (200, 2)), rng.uniform(-3, 3, (200, 5, 2))
    blocking = np.zeros((200, 5), bool)
    blocking[:, 0] = True
    met = nav._meets(start, ends, blocking)
    along = (
        start[:, None, None]
        + np.linspace(0, 1, 2001)[:, None] * (ends - start[:, None])[:, :, None]
    )
    away = np.abs(along - CENTRES[layouts.objects[:, 0]][:, None, None]).max(axis=-1).min(axis=-1)
    half = ARENA.side / 2 + MARGIN
    clear = np.abs(away - half) > 0.01
    assert (met == (away <= half))[clear].all() and clear.mean() > 0.9
