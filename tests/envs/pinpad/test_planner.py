"""The batched planner against networkx on one board at a time."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irl_lens.envs.pinpad.layouts import BoardSpec, Layouts, sample_layouts
from irl_lens.envs.pinpad.planner import (
    MOVES,
    UNREACHABLE,
    distances,
    move_table,
    optimal_actions,
    optimal_length,
)

SPECS = [BoardSpec(3, 2, 3), BoardSpec(4, 4, 3), BoardSpec(7, 8, 4)]


def walk_graph(spec: BoardSpec, objects: list[int], goal: int) -> nx.DiGraph:
    """Legal moves towards ``goal``: into floor or the goal, never a wall or another colour."""
    obstacles = set(objects) - {objects[goal]}
    graph = nx.DiGraph()
    graph.add_nodes_from(range(spec.cells))
    for cell in range(spec.cells):
        row, column = divmod(cell, spec.size)
        for action, (down, right) in enumerate(MOVES.tolist()):
            r, c = row + down, column + right
            to = r * spec.size + c
            if 0 <= r < spec.size and 0 <= c < spec.size and to not in obstacles:
                graph.add_edge(cell, to, action=action)
    return graph


def ahead(graph: nx.DiGraph, goal: int, cell: int) -> dict[int, int]:
    """Steps a path to ``goal`` takes in all, for each action that starts one from ``cell``.

    Paths end on first entering the goal, so no path leads through it.
    """
    through = graph.copy()
    through.remove_edges_from(list(graph.out_edges(goal)))
    to_goal = nx.single_target_shortest_path_length(through, goal)
    steps = dict(to_goal)
    moves = graph.out_edges(cell, data="action")
    return {action: 1 + steps[to] for _, to, action in moves if to in steps}


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(SPECS), st.integers(0, 2**32), st.data())
def test_optimal_actions_and_lengths_equal_networkx(
    spec: BoardSpec, seed: int, data: st.DataObject
) -> None:
    layouts = sample_layouts(spec, 3, np.random.default_rng(seed))
    distance, moves = distances(spec, layouts), move_table(spec.size)
    goal = data.draw(st.integers(0, spec.colours - 1))
    for row, objects in enumerate(layouts.objects.tolist()):
        graph = walk_graph(spec, objects, goal)
        for cell in set(range(spec.cells)) - set(objects[spec.colours :]):
            truth = ahead(graph, objects[goal], cell)
            best = {a for a, steps in truth.items() if steps == min(truth.values())}
            found = optimal_actions(
                distance[row : row + 1], np.array([goal]), np.array([cell]), moves
            )
            assert set(np.flatnonzero(found[0])) == best


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(SPECS), st.integers(0, 2**32), st.data())
def test_task_lengths_equal_networkx(spec: BoardSpec, seed: int, data: st.DataObject) -> None:
    layouts = sample_layouts(spec, 4, np.random.default_rng(seed))
    visits = data.draw(st.lists(st.integers(0, spec.colours - 1), min_size=1, max_size=4))
    table = np.array([[*visits, -1]] * 4)
    lengths = optimal_length(distances(spec, layouts), layouts, table, move_table(spec.size))
    for row, objects in enumerate(layouts.objects.tolist()):
        cell, total = int(layouts.start[row]), 0
        for goal in visits:
            legs = ahead(walk_graph(spec, objects, goal), objects[goal], cell)
            total += min(legs.values(), default=int(UNREACHABLE))
            cell = objects[goal]
        assert lengths[row] == total or (lengths[row] >= UNREACHABLE <= total)


def test_two_touching_colours_do_not_open_a_path() -> None:
    # Colour 1 stands between the agent and colour 0 in a corridor of walls.
    spec = BoardSpec(3, 2, 4)
    layouts = Layouts(np.array([[3 + 2, 3 + 1, 0, 1, 6, 7]]), np.array([3]))
    distance, moves = distances(spec, layouts), move_table(3)
    assert not optimal_actions(distance, np.array([0]), np.array([3]), moves).any()
    assert optimal_actions(distance, np.array([1]), np.array([3]), moves)[0].tolist() == [
        False, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize("size", [2, 3, 7])
def test_moves_against_the_border_stay(size: int) -> None:
    moves = move_table(size)
    assert (moves[0, [0, 3]] == 0).all()
    assert (moves[-1, [1, 2]] == size * size - 1).all()
    assert moves[0].tolist() == [0, 1, size, 0]
