"""The navigator's ways lead to the goal past what is blocked, and its directions do not jump."""

from __future__ import annotations

import numpy as np

from irl_lens.envs.ant.arena import Arena
from irl_lens.envs.ant.navigator import CLEARANCE, FAR, STEEP, Navigator, nearness
from irl_lens.envs.pinpad.layouts import BoardSpec, Layouts, sample_layouts
from irl_lens.envs.pinpad.planner import UNREACHABLE, distances

BOARD, ARENA = BoardSpec(4, 4, 1), Arena(4, 1.5)
CENTRES = ARENA.centres


def navigator(layouts: Layouts) -> Navigator:
    return Navigator.of(BOARD, layouts, ARENA)


def test_following_it_leads_to_the_goal_and_into_nothing_else() -> None:
    """A point that walks where it is told, 5 cm at a time, from every free cell to every colour."""
    rng = np.random.default_rng(0)
    layouts = sample_layouts(BOARD, 20, rng)
    distance = distances(BOARD, layouts)
    occupied = np.zeros((20, 16), bool)
    np.put_along_axis(occupied, layouts.objects, True, axis=1)
    reach = (distance < UNREACHABLE) & (distance > 0) & ~occupied[:, None]
    row, goal, cell = np.nonzero(reach)
    nav, at = navigator(layouts).rows(row), CENTRES[cell] + rng.uniform(-0.3, 0.3, (len(row), 2))
    arrived, walked = np.zeros(len(row), bool), np.zeros(len(row))
    for _ in range(400):
        way = nav.directions(at, np.zeros_like(at), goal)
        at += np.where(arrived, 0, 0.05)[:, None] * np.stack([np.cos(way), np.sin(way)], axis=1)
        walked += np.where(arrived, 0, 0.05)
        here = ARENA.cells(at)
        assert (here >= 0).all()
        arrived |= here == layouts.objects[row, goal]
        assert (arrived | ~occupied[row, here]).all()
        if arrived.all():
            break
    assert arrived.all() and len(row) > 500
    assert (walked <= 1.5 * distance[row, goal, cell]).all()


def test_directions_do_not_jump() -> None:
    rng = np.random.default_rng(1)
    layouts = sample_layouts(BOARD, 4000, rng)
    goal, along = rng.integers(4, size=4000), rng.normal(size=(4000, 2))
    crossing = rng.integers(-1, 2, 4000) * 1.5  # a line between columns, which it steps over
    before = np.stack([crossing, rng.uniform(-2.9, 2.9, 4000)], axis=1) - 1e-7 * np.abs(along)
    after, nav = before + 2e-7 * np.abs(along), navigator(layouts)
    still = np.zeros((4000, 2))
    change = nav.directions(after, still, goal) - nav.directions(before, still, goal)
    change = np.abs(np.mod(change + np.pi, 2 * np.pi) - np.pi)
    cells = np.stack([ARENA.cells(before), ARENA.cells(after)])
    assert (cells[0] != cells[1]).any()
    free = (layouts.objects[None] != cells[..., None]).all(axis=(0, 2))
    free &= nav.worth[np.arange(4000), goal][np.arange(4000), cells[0]] < FAR
    assert change[free].max() < 1e-3 and free.sum() > 1000


def test_who_stands_on_the_goal_leaves_it() -> None:
    nav = navigator(Layouts(np.array([[5, 3, 12, 15, 0]]), np.array([10])))
    way = nav.directions(CENTRES[[5]] + [[0.2, 0.0]], np.zeros((1, 2)), np.array([0]))
    assert abs(way[0]) < 0.3
    back = nav.directions(CENTRES[[6]], np.zeros((1, 2)), np.array([0]))
    assert abs(abs(back[0]) - np.pi) < 0.1


def test_a_visited_colour_underfoot_is_crossed_and_another_is_not() -> None:
    goal, still = np.array([0]), np.zeros((1, 2))
    nav = navigator(Layouts(np.array([[6, 5, 12, 15, 0]]), np.array([9])))
    np.testing.assert_allclose(nav.directions(CENTRES[[5]], still, goal), 0, atol=0.05)
    beside = nav.directions(CENTRES[[4]], still, goal)  # between them the other colour's cell
    assert np.abs(beside[0]) > np.pi / 4


def test_it_cuts_free_corners_and_goes_round_blocked_ones() -> None:
    free = Layouts(np.array([[5, 3, 12, 15, 11]]), np.array([0]))
    blocked = Layouts(np.array([[5, 1, 12, 15, 11]]), np.array([0]))
    at, still, goal = CENTRES[[0]], np.zeros((1, 2)), np.array([0])
    cut = navigator(free).directions(at, still, goal)
    round_it = navigator(blocked).directions(at, still, goal)
    np.testing.assert_allclose(cut, -np.pi / 4, atol=0.05)
    assert -2.2 < round_it[0] < -1.2


def test_the_place_is_run_ahead_of_the_velocity() -> None:
    nav = navigator(Layouts(np.array([[3, 13, 12, 15, 14]]), np.array([0])))
    moving = nav.directions(CENTRES[[0]], np.array([[0.0, 1.0]]), np.array([0]))
    assert -np.pi / 2 < moving[0] < 0


def test_nearness_is_that_of_the_nearest_point_of_the_line() -> None:
    rng = np.random.default_rng(2)
    start, end, blocked = rng.uniform(-2, 2, (3, 300, 2))
    end[0] = start[0]
    points = start[:, None] + np.linspace(0, 1, 2001)[:, None] * (end - start)[:, None]
    distance = np.linalg.norm(points - blocked[:, None], axis=2).min(axis=1)
    expected = STEEP * np.maximum(CLEARANCE - distance, 0) ** 2
    np.testing.assert_allclose(nearness(start, end, blocked), expected, atol=0.02)
    assert (expected > 0).mean() > 0.2
