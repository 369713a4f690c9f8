"""The paper's task tables and the construction behind them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product

import gymnasium
import pytest
from hypothesis import given
from hypothesis import strategies as st

import irl_lens.envs  # noqa: F401  (registers the environments)
from irl_lens.envs.pinpad.tasks import (
    GRAMMARS,
    PAPER_ANT,
    PAPER_GRID,
    Grammar,
    grammar,
    register,
    walks,
)
from irl_lens.envs.pinpad.world import PinpadWorld
from irl_lens.envs.registry import PinpadConfig

ALLOWED = "AC AD BA BD CA CB DB DC"


def test_table_a1_is_all_length_3_walks_on_the_allowed_transitions() -> None:
    allowed = frozenset(("ABCD".index(a), "ABCD".index(b)) for a, b in ALLOWED.split())
    by_hand = {w for w in product(range(4), repeat=3) if set(pairwise(w)) <= allowed}
    assert set(PAPER_GRID.train) == by_hand == set(walks(allowed, 3))
    assert len(PAPER_GRID.train) == len(by_hand) == 16
    assert PAPER_GRID.transitions == allowed


@pytest.mark.parametrize("name", sorted(GRAMMARS))
def test_no_transition_of_the_held_out_task_is_trained(name: str) -> None:
    g = grammar(name)
    assert not set(pairwise(g.heldout)) & g.transitions


def test_table_a1_held_out_task_in_colours() -> None:
    assert PAPER_GRID.colours(PAPER_GRID.heldout) == (0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3)
    assert PAPER_GRID.stages(PAPER_GRID.heldout) == (0, 0, 1, 1, 2, 2, 3, 3, 0, 0, 1, 1)


def test_table_a2() -> None:
    words = "032 103 210 321 020 021 031 102 131 132 202 203 213 310 313 320"
    assert " ".join("".join(map(str, PAPER_ANT.colours(t))) for t in PAPER_ANT.train) == words
    assert PAPER_ANT.colours(PAPER_ANT.heldout) == (0, 1, 2, 3)


@given(
    st.frozensets(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=12), st.integers(2, 4)
)
def test_walks_are_exactly_the_sequences_of_allowed_transitions(
    transitions: frozenset[tuple[int, int]], length: int
) -> None:
    by_hand = [w for w in product(range(5), repeat=length) if set(pairwise(w)) <= transitions]
    assert list(walks(transitions, length)) == by_hand


def test_unknown_subgoal_and_empty_task_are_named() -> None:
    with pytest.raises(ValueError, match=r"names subgoal 4; it has 4 subgoals"):
        PAPER_GRID.colours((0, 4))
    with pytest.raises(ValueError, match="empty task"):
        PAPER_GRID.colours(())
    with pytest.raises(ValueError, match=r"no grammar 'nope'.*paper-ant, paper-grid"):
        grammar("nope")


def test_a_grammar_that_needs_a_colour_the_board_lacks() -> None:
    with pytest.raises(ValueError, match="names colour 7, but the world has 6 colours"):
        PinpadWorld(PinpadConfig(colours=6))


def test_other_grammars_can_be_made_and_played() -> None:
    allowed = frozenset({(0, 1), (1, 0), (1, 2), (2, 1)})
    mine = Grammar("chain", ((0,), (1,), (2,)), ("x", "y", "z"), walks(allowed, 2), (0, 1, 2))
    assert register(mine) is register(mine)
    world = PinpadWorld(PinpadConfig(size=5, colours=3, walls=1, grammar="chain"))
    batch = world.demonstrate(20, 0)
    assert world.subgoal_names == ("x", "y", "z")
    assert {mine.train[t] for t in batch.require("tasks")} == set(mine.train)
    env = gymnasium.make(
        "irl_lens/GridPinpad-v0", size=5, colours=3, walls=1, grammar="chain", task="heldout"
    )
    assert env.reset(seed=0)[1]["subgoal"] == 0
    with pytest.raises(ValueError, match="another grammar 'chain'"):
        register(replace(mine, heldout=(0, 1)))
