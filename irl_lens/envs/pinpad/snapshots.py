"""Snapshots are checked whole before anything of them is taken over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from jaxtyping import Int

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.episodes import Episodes, EpisodeState
from irl_lens.envs.pinpad.layouts import BoardSpec, Layouts, check_layouts, wall_mask
from irl_lens.envs.pinpad.planner import MOVES

Numbers = Int[NDArray[np.int64], " n"]


def restore(
    episodes: Episodes,
    state: Mapping[str, object],
    values: object,
    generators: tuple[np.random.Generator, ...],
) -> None:
    """Puts episodes and their random generators back to a snapshot, or changes nothing.

    Args:
        episodes: Those to put back.
        state: A snapshot, ``"episodes"`` as :attr:`Episodes.state` gave it.
        values: The states of the generators in it.
        generators: Those to put back, one a value.

    Raises:
        ValueError: It is no snapshot, or one of an environment with other options.
    """
    if not isinstance(values, list) or len(values) != len(generators):
        there = len(values) if isinstance(values, list) else "no"
        raise ValueError(
            f"a snapshot of {there} rows for {len(generators)}; "
            "take one of an environment of the same size"
        )
    checked = _checked(state.get("episodes"), episodes)
    for generator, value in zip(generators, values, strict=True):
        _check_generator(generator, value)
    episodes.state = checked
    for generator, value in zip(generators, values, strict=True):
        generator.bit_generator.state = value


def _checked(state: object, episodes: Episodes) -> EpisodeState:
    """A copy of a state that such episodes can be in."""
    if not isinstance(state, EpisodeState):
        raise ValueError(
            f"a snapshot whose episodes are a {type(state).__name__}; give what get_state returned"
        )
    copy = EpisodeState(
        **{f.name: _array(state, f.name, getattr(episodes.state, f.name)) for f in fields(state)}
    )
    check_layouts(episodes.board, Layouts(copy.objects, copy.start))
    _check_ranges(copy, episodes)
    _check_walls(copy, episodes.board)
    return copy


def _array(state: EpisodeState, name: str, like: NDArray) -> NDArray:
    array = np.array(getattr(state, name))
    if array.shape != like.shape or array.dtype != like.dtype:
        raise ValueError(
            f"a snapshot with {name} of {array.dtype} and shape {array.shape} for {like.dtype} "
            f"and {like.shape}; take one of an environment with the same options"
        )
    return array


def _check_ranges(state: EpisodeState, episodes: Episodes) -> None:
    _check("cell", state.cell, episodes.board.cells)
    _check("displacement", state.displacement, len(MOVES) + 1)
    _check("steps", state.steps, episodes.options.horizon + 1)
    _check("task", state.task, len(episodes.goals))
    visits = (episodes.goals >= 0).sum(axis=1)
    _check("progress", state.progress, visits[state.task] + 1)


def _check(name: str, values: Numbers, limit: int | Numbers) -> None:
    wrong = np.flatnonzero((values < 0) | (values >= limit))
    if len(wrong):
        row = int(wrong[0])
        most = int(np.broadcast_to(limit, values.shape)[row]) - 1
        raise ValueError(
            f"a snapshot with {name} {values[row]} in row {row}; it is from 0 to {most} here"
        )


def _check_walls(state: EpisodeState, board: BoardSpec) -> None:
    walls = wall_mask(board, Layouts(state.objects, state.start))
    within = np.flatnonzero(np.take_along_axis(walls, state.cell[:, None], axis=1))
    if len(within):
        row = int(within[0])
        raise ValueError(f"a snapshot with the agent of row {row} in a wall, {state.cell[row]}")


def _check_generator(generator: np.random.Generator, value: Any) -> None:
    scratch = type(generator.bit_generator)()
    try:
        scratch.state = value
        taken = scratch.state == value  # a fraction is cut off without a word
    except (TypeError, ValueError, LookupError, OverflowError):
        taken = False
    if not taken:
        raise ValueError(
            "a snapshot whose random generator has no state of a "
            f"{type(scratch).__name__}; give what get_state returned"
        )
