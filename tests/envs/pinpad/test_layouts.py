"""Boards: uniform, without overlap, and possible."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irl_lens.envs.pinpad.layouts import BoardSpec, colour_map, sample_layouts, wall_mask


@given(st.integers(2, 6), st.integers(1, 5), st.integers(0, 5), st.integers(0, 2**32))
def test_objects_and_start_never_overlap(size: int, colours: int, walls: int, seed: int) -> None:
    if colours + walls + 1 > size * size:
        with pytest.raises(ValueError, match="take fewer objects or a larger size"):
            BoardSpec(size, colours, walls)
        return
    spec = BoardSpec(size, colours, walls)
    layouts = sample_layouts(spec, 5, np.random.default_rng(seed))
    for objects, start in zip(layouts.objects, layouts.start, strict=True):
        cells = {*objects.tolist(), int(start)}
        assert len(cells) == colours + walls + 1
        assert cells <= set(range(size * size))
    assert (wall_mask(spec, layouts).sum(axis=1) == walls).all()
    assert ((colour_map(spec, layouts) >= 0).sum(axis=1) == colours).all()


def test_every_object_is_uniform_over_the_cells() -> None:
    spec, n = BoardSpec(3, 2, 2), 9_000
    layouts = sample_layouts(spec, n, np.random.default_rng(0))
    for column in (*layouts.objects.T, layouts.start):
        counts = np.bincount(column, minlength=9)
        assert (abs(counts - n / 9) < 5 * np.sqrt(n / 9)).all()


@pytest.mark.parametrize("size, colours, walls", [(1, 1, 0), (4, 0, 1), (4, 2, -1)])
def test_out_of_range_sizes_are_refused(size: int, colours: int, walls: int) -> None:
    with pytest.raises(ValueError, match="take a whole number from"):
        BoardSpec(size, colours, walls)
