"""Environments: the pinpad grid, a user's own, and what is asked of a world; never torch.

:func:`register_world` makes a kind of world known, so that presets, runs and the command line can
have it. Importing this package registers ``irl_lens/GridPinpad-v0`` with Gymnasium. The entry
points are strings, so that nothing is loaded before an environment is made.
"""

from gymnasium.envs.registration import register

from irl_lens.envs.registry import make_world, register_world, world_kinds

__all__ = ["make_world", "register_world", "world_kinds"]

register(
    id="irl_lens/GridPinpad-v0",
    entry_point="irl_lens.envs.pinpad.env:GridPinpadEnv",
    vector_entry_point="irl_lens.envs.pinpad.vector_env:GridPinpadVectorEnv",
)
