"""The ant's pinpad with one thing other than a model was trained on.

    task=1-2-3   this task is asked for in place of the held-out one, and demonstrated
    noise=1.5    demonstrations have this much noise, see :class:`irl_lens.envs.ant.spec.AntConfig`

Nothing else can be: each wall and each colour has columns of its own, real numbers that cannot be
empty or shared, and the ways to colours, which an ant sees, are found once an episode.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from irl_lens.envs.ant.spec import AntConfig
from irl_lens.envs.pinpad.altered import OtherTask, Tasked, usual_tasks
from irl_lens.envs.protocol import World
from irl_lens.errors import UserError


class Ants(Tasked, Protocol):
    """An ant's pinpad."""

    settings: AntConfig


def usual_variations(world: Ants) -> tuple[str, ...]:
    """Returns what an ant's world is tried with when nothing else is asked for."""
    tasks = (f"task={task}" for task in usual_tasks(world.grammar))
    return (*tasks, f"noise={2 * world.settings.noise:g}")


def vary(world: Ants, variation: str, make: Callable[[AntConfig], World]) -> World:
    """Returns a world with one thing other.

    Args:
        world: The world.
        variation: What is other: see the module.
        make: Makes a world like it of another configuration.

    Raises:
        UserError: It cannot be other.
    """
    name, _, value = variation.partition("=")
    if name == "task":
        return OtherTask(world, value)
    if name != "noise":
        raise UserError(
            f"{variation[:60]}: of an ant's world nothing can be other than in training but the "
            "task that is asked for (task=..) and the noise of demonstrations (noise=..)"
        )
    try:
        return make(replace(world.settings, noise=float(value)))
    except ValueError as error:
        raise UserError(f"{variation[:60]}: {error}; write noise= and a number") from error
