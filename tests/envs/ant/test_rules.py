"""The rules, on cells by hand."""

from __future__ import annotations

import numpy as np
import pytest

from irl_lens.envs.ant.arena import OUTSIDE, Arena
from irl_lens.envs.ant.rules import EMPTY, WALL, End, content, fallen, judge
from irl_lens.envs.ant.spec import AntConfig
from irl_lens.envs.pinpad.layouts import BoardSpec, Layouts

BOARD = BoardSpec(4, 4, 1)
LAYOUT = Layouts(np.array([[0, 1, 2, 3, 4]]), np.array([8]))
"""Colours 0 to 3 on the cells of these numbers, a wall on cell 4."""


def judged(
    before: int, after: int, progress: int = 0, fell: bool = False, edge: str = "ends"
) -> tuple[int, End]:
    config = AntConfig(edge=edge)  # type: ignore[arg-type]
    there, goals = content(BOARD, LAYOUT), np.array([[0, 1, -1]])
    done, one, other = np.array([[progress], [before], [after]])
    found = judge(config, there, goals, done, one, other, np.array([fell]))
    return int(found.progress[0]), End(found.end[0])


@pytest.mark.parametrize(
    ("before", "after", "progress", "expected"),
    [
        (8, 9, 0, (0, End.NOT_YET)),
        (8, 0, 0, (1, End.NOT_YET)),
        (0, 0, 1, (1, End.NOT_YET)),  # what is underfoot is not visited again
        (0, 1, 1, (2, End.SUCCESS)),
        (1, 1, 1, (1, End.NOT_YET)),
        (0, 2, 1, (1, End.WRONG_COLOUR)),
        (8, 1, 0, (0, End.WRONG_COLOUR)),
        (8, 4, 0, (0, End.WALL)),
        (8, OUTSIDE, 0, (0, End.LEFT)),
        (OUTSIDE, 0, 0, (1, End.NOT_YET)),
    ],
)
def test_what_a_step_onto_a_cell_is(
    before: int, after: int, progress: int, expected: tuple[int, End]
) -> None:
    assert judged(before, after, progress) == expected


def test_falls_and_the_edge() -> None:
    assert judged(8, 9, fell=True) == (0, End.FALL)
    assert judged(8, 0, fell=True) == (1, End.FALL)
    assert judged(0, 1, 1, fell=True) == (2, End.SUCCESS)  # the last visit is the end
    assert judged(8, OUTSIDE, edge="open") == (0, End.NOT_YET)


def test_falls_by_height_and_on_the_back() -> None:
    qpos = np.zeros((5, 15))
    qpos[:, 3], qpos[:, 2] = 1, (0.19, 0.21, 0.99, 1.01, 0.5)
    qpos[4, 3:7] = (0, 1, 0, 0)  # half a turn about x
    assert fallen(qpos, "height").tolist() == [True, False, False, True, False]
    assert fallen(qpos, "upright").tolist() == [True, False, False, True, True]


def test_cells_and_what_is_on_them() -> None:
    arena = Arena(4, 1.5)
    assert content(BOARD, LAYOUT)[0, :6].tolist() == [0, 1, 2, 3, WALL, EMPTY]
    np.testing.assert_array_equal(arena.cells(arena.centres), np.arange(16))
    np.testing.assert_allclose(arena.within(arena.centres), 0, atol=1e-12)
    np.testing.assert_allclose(
        arena.centres[[0, 3, 12]], [[-2.25, 2.25], [2.25, 2.25], [-2.25, -2.25]]
    )
    edges = np.array([[-3.01, 0], [3.01, 0], [0, 3.01], [0, -3.01]])
    assert (arena.cells(edges) == OUTSIDE).all()
    np.testing.assert_allclose(arena.within(np.array([[0.375, -0.375]])), [[-0.5, 0.5]])
