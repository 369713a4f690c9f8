"""The worlds that presets are set in, and how a world is built from its configuration."""

from __future__ import annotations

from irl_lens.envs.pinpad.spec import PinpadConfig
from irl_lens.envs.protocol import World

WorldConfig = PinpadConfig
"""The configuration of a world of any kind; so far there is one kind."""

GRID = PinpadConfig()
"""The paper's grid."""

SMALL_GRID = PinpadConfig(size=5, colours=4, walls=2, horizon=40, grammar="paper-ant")
"""A grid to try things out on: small, and each of its subgoals is a single visit."""


def make_world(config: WorldConfig) -> World:
    """Builds a world.

    Raises:
        ValueError: There is no such world; names what does not fit.
    """
    from irl_lens.envs.pinpad.world import PinpadWorld

    return PinpadWorld(config)
