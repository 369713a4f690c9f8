"""Environments: the pinpad grid, the ant, a user's own, and what is asked of a world; never torch.

:class:`GymnasiumWorld` makes a world of any Gymnasium environment, and :func:`register_world` makes
its kind known, so that presets, runs and the command line can have it.

Importing this package registers ``irl_lens/GridPinpad-v0`` and ``irl_lens/AntPinpad-v0`` with
Gymnasium. The entry points are strings, so that nothing is loaded before an environment is made.
"""

from gymnasium.envs.registration import register

from irl_lens.envs.registry import make_world, register_world, world_kinds
from irl_lens.envs.wrapped.world import GymnasiumWorld

__all__ = ["GymnasiumWorld", "make_world", "register_world", "world_kinds"]

register(
    id="irl_lens/GridPinpad-v0",
    entry_point="irl_lens.envs.pinpad.env:GridPinpadEnv",
    vector_entry_point="irl_lens.envs.pinpad.vector_env:GridPinpadVectorEnv",
)
register(
    id="irl_lens/AntPinpad-v0",
    entry_point="irl_lens.envs.ant.env:AntPinpadEnv",
    vector_entry_point="irl_lens.envs.ant.vector_env:AntPinpadVectorEnv",
)
