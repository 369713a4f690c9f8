"""Pairs differ in what the edit says, and in nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from irl_lens.analyses.patching.pairs import Pairs, make_pairs
from irl_lens.envs.protocol import World
from irl_lens.envs.registry import GRID, make_world

OBSERVATIONS = ("egocentric", "onehot")


def observed(kind: str) -> World:
    return make_world(replace(GRID, observation=kind))


def paired(edit: str, kind: str = "egocentric", n: int = 12) -> Pairs:
    return make_pairs(observed(kind), edit, n, seed=3, earliest=4)


def differing(pairs: Pairs) -> list[np.ndarray]:
    """Of each pair, which columns differ at which step up to the decision."""
    rows = zip(pairs.clean, pairs.corrupted, pairs.decisions, strict=True)
    return [(clean != corrupted)[: stop + 1] for clean, corrupted, stop in rows]


@pytest.mark.parametrize("kind", OBSERVATIONS)
@pytest.mark.parametrize(("edit", "objects"), [("swap", 2), ("move", 1)])
def test_objects_differ_at_every_step_and_the_walk_at_none(
    edit: str, objects: int, kind: str
) -> None:
    pairs = paired(edit, kind)
    for columns, said in zip(differing(pairs), pairs.changes, strict=True):
        assert (columns.sum(axis=1) == objects).all()
        assert (columns == columns[0]).all() and not columns[:, 12:].any()
        names = [f"colour{i}" for i in np.flatnonzero(columns[0])]
        assert all(name in said for name in names)


def test_a_changed_history_leaves_the_decision_as_it_is() -> None:
    for columns in differing(paired("history")):
        assert (columns[:-1].sum(axis=1) == 2).all()
        assert not columns[-1].any()


@pytest.mark.parametrize("kind", OBSERVATIONS)
def test_an_obstacle_more_is_where_the_expert_goes(kind: str) -> None:
    world = observed(kind)
    pairs = paired("add", kind)
    more = pairs.corrupted - world.observation.dense(pairs.clean)
    assert (more.sum(axis=-1) == 1).all() and (np.abs(more).sum(axis=-1) == 1).all()
    added = more.argmax(axis=-1) - world.observation.offsets[8]
    assert ((added >= 0) & (added < world.observation.sizes[8])).all()
    here = pairs.clean[:, :, 12] - world.observation.offsets[12]
    at = np.arange(len(pairs)), pairs.decisions
    if kind == "onehot":
        apart = np.abs(np.subtract(*(np.stack(np.divmod(x[at], 7)) for x in (added, here))))
    else:
        apart = np.abs(np.stack(np.divmod(added[at], 13)) - 6)
    assert (apart.sum(axis=0) == 1).all()


def test_an_obstacle_less_is_an_entry_less() -> None:
    pairs, spec = paired("remove"), observed("egocentric").observation
    for clean, corrupted, said in zip(pairs.clean, pairs.corrupted, pairs.changes, strict=True):
        gone = 8 + int(said.split()[0].removeprefix("wall"))
        assert np.array_equal(spec.dense(np.delete(clean, gone, axis=1)), corrupted)


@pytest.mark.parametrize("edit", ["swap", "move", "add", "remove"])
def test_the_walk_touches_nothing_else_than_before(edit: str) -> None:
    pairs, spec = paired(edit, "onehot"), observed("onehot").observation
    for clean, edited, stop in zip(pairs.clean, pairs.corrupted, pairs.decisions, strict=True):
        walk = clean[: stop + 1, 12] % 49
        seen, after = (
            (x if x.dtype == np.float32 else spec.dense(x))[: stop + 1].reshape(-1, 13, 49)
            for x in (clean, edited)
        )
        assert np.array_equal(after[:, 12], seen[:, 12])  # where the agent is
        underfoot = after[np.arange(stop + 1), :, walk]
        assert not underfoot[:, 8:12].any()
        assert np.array_equal(underfoot[:, :8], seen[np.arange(stop + 1), :8, walk])


def test_the_same_seed_gives_the_same_pairs() -> None:
    one, same = paired("swap"), paired("swap")
    assert np.array_equal(one.corrupted, same.corrupted) and one.changes == same.changes
    few = one.rows([5, 2])
    assert few.changes == (one.changes[5], one.changes[2])
    assert few.clean.shape[1] == max(one.decisions[[5, 2]]) + 1
    with pytest.raises(ValueError, match="pair True is a bool, no index"):
        one.rows(one.decisions >= 0)


def test_what_cannot_be_made_is_an_error() -> None:
    world = make_world(GRID)
    with pytest.raises(ValueError, match=r"no edit 'paint'; there are swap, move"):
        make_pairs(world, "paint", 2)
    with pytest.raises(ValueError, match=r"0 of 2 pairs by 'swap'"):
        make_pairs(world, "swap", 2, earliest=100)
    with pytest.raises(ValueError, match="no obstacles"):
        make_pairs(make_world(replace(GRID, walls=0)), "add", 2)
