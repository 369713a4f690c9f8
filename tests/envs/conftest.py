"""Shared by the environment tests: putting an environment on a board of one's own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from irl_lens.envs.pinpad.env import GridPinpadEnv

Placer = Callable[..., GridPinpadEnv]


@pytest.fixture
def place() -> Placer:
    """Gives a function that returns an environment on the board drawn in a text.

    Digits are colours, ``#`` walls, ``.`` floor and ``@`` the agent's start.
    """

    def build(drawing: str, task: tuple[int, ...], **options) -> GridPinpadEnv:
        lines = drawing.split()
        signs = "".join(lines)
        colours, walls = sum(sign.isdigit() for sign in signs), signs.count("#")
        env = GridPinpadEnv(
            size=len(lines), colours=colours, walls=walls, task=task, solvable=False, **options
        )
        env.reset(seed=0)
        state = env.get_state()
        episode = state["episodes"]
        digits = [signs.index(str(colour)) for colour in range(colours)]
        episode.objects[0] = digits + [i for i, sign in enumerate(signs) if sign == "#"]
        episode.start[0] = episode.cell[0] = signs.index("@")
        env.set_state(state)
        return env

    return build
