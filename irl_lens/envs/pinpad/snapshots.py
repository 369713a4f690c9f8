"""Snapshots are checked whole before anything of them is taken over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from jaxtyping import Int

from irl_lens.arrays import NDArray
from irl_lens.envs.pinpad.episode_rows import EpisodeRows
from irl_lens.envs.pinpad.episode_state import EpisodeState
from irl_lens.envs.pinpad.layouts import BoardSpec, Layouts, check_layouts, wall_mask
from irl_lens.envs.pinpad.planner import MOVES

Numbers = Int[NDArray[np.int64], " n"]


def restore(
    episodes: EpisodeRows,
    state: Mapping[str, object],
    values: object,
    generators: tuple[np.random.Generator, ...],
) -> None:
    """Puts episodes and their random generators back to a snapshot, or changes nothing.

    Args:
        episodes: Those to put back.
        state: A snapshot, ``"episodes"`` as ``snapshot`` of such episodes gave it.
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
    checked = episodes.checked(state.get("episodes"))
    for generator, value in zip(generators, values, strict=True):
        _check_generator(generator, value)
    episodes.restore(checked)
    for generator, value in zip(generators, values, strict=True):
        generator.bit_generator.state = value


def checked_state(
    state: object,
    like: EpisodeState,
    board: BoardSpec,
    goals: Int[NDArray[np.int64], "tasks visits"],
    horizon: int,
) -> EpisodeState:
    """Returns a copy of a state that grid episodes can be in.

    Args:
        state: What is said to be one.
        like: One of as many episodes.
        board: Where they are played.
        goals: Colours of every visit of every task, -1 after the last.
        horizon: Most steps.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(state, EpisodeState):
        raise ValueError(
            f"a snapshot whose episodes are a {type(state).__name__}; give what get_state returned"
        )
    copy = EpisodeState(**checked_arrays(state, like))
    check_layouts(board, Layouts(copy.objects, copy.start))
    check_range("cell", copy.cell, board.cells)
    check_range("displacement", copy.displacement, len(MOVES) + 1)
    check_counters(copy, goals, horizon)
    _check_walls(copy, board)
    return copy


def checked_arrays(state: Any, like: Any) -> dict[str, NDArray[Any]]:
    """Copies a dataclass's arrays; raises ``ValueError`` unless they are as those of ``like``."""
    return {f.name: _array(state, f.name, getattr(like, f.name)) for f in fields(like)}


def check_counters(state: Any, goals: NDArray[np.int64], horizon: int) -> None:
    """Raises ``ValueError`` unless steps, tasks and progress are some that episodes can have."""
    check_range("steps", state.steps, horizon + 1)
    check_range("task", state.task, len(goals))
    visits = (goals >= 0).sum(axis=1)
    check_range("progress", state.progress, visits[state.task] + 1)


def _array(state: Any, name: str, like: NDArray) -> NDArray:
    array = np.array(getattr(state, name))
    if array.shape != like.shape or array.dtype != like.dtype:
        raise ValueError(
            f"a snapshot with {name} of {array.dtype} and shape {array.shape} for {like.dtype} "
            f"and {like.shape}; take one of an environment with the same options"
        )
    return array


def check_range(name: str, values: Numbers, limit: int | Numbers) -> None:
    """Raises ``ValueError`` unless whole numbers are from 0 to below a limit."""
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
