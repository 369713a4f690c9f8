"""Observations: what is in them, and what must not be."""

import numpy as np
import pytest

from irl_lens.envs.pinpad.layouts import BoardSpec
from irl_lens.envs.pinpad.observation import KINDS, Observer
from irl_lens.envs.pinpad.world import PinpadWorld
from irl_lens.envs.registry import PinpadConfig


@pytest.mark.parametrize("kind", KINDS)
def test_the_agent_is_seen_and_the_task_is_not(kind):
    observer = Observer(kind, BoardSpec(7, 8, 4))
    world = PinpadWorld(PinpadConfig(observation=kind))
    batch = world.demonstrate(50, 0)
    agent = batch.observations[..., 12] - observer.spec.offsets[12]
    moved = (agent[:, 1:] != agent[:, :-1]) & batch.mask[:, 1:]
    assert moved[batch.mask[:, 1:]].all(), "the expert never stands still, so neither does this"
    # The same board, cell and displacement under other tasks and progress looks the same.
    again = observer.encode(
        np.broadcast_to(batch.extras["objects"][:, None], (*agent.shape, 12)),
        agent,
        _displacement(agent, world.config.size),
    )
    np.testing.assert_array_equal(again[batch.mask], batch.observations[batch.mask])


def _displacement(cells: np.ndarray, size: int) -> np.ndarray:
    steps = np.diff(cells, axis=1, prepend=cells[:, :1])
    moves = [(steps == d) * (i + 1) for i, d in enumerate((-size, 1, size, -1))]
    return np.sum(moves, axis=0)


def test_egocentric_columns_are_offsets_from_the_agent():
    observer = Observer("egocentric", BoardSpec(3, 1, 0))
    encode = lambda thing, agent: int(  # noqa: E731
        observer.encode(np.array([[thing]]), np.array([agent]), np.array([0]))[0, 0]
    )
    centre = 2 * 5 + 2
    assert encode(4, 4) == centre
    assert encode(5, 4) == centre + 1
    assert encode(1, 4) == centre - 5
    assert {encode(i, j) for i in range(9) for j in range(9)} == set(range(25))


def test_dense_is_the_sparse_form_written_out():
    spec = Observer("onehot", BoardSpec(7, 8, 4)).spec
    indices = spec.offsets + np.arange(spec.columns)
    dense = spec.dense(indices[None])
    assert dense.shape == (1, 637)
    np.testing.assert_array_equal(np.flatnonzero(dense[0]), indices)


def test_an_unknown_observation_lists_the_known():
    with pytest.raises(ValueError, match=r"no observation 'pixels'.*onehot, egocentric"):
        Observer("pixels", BoardSpec())
