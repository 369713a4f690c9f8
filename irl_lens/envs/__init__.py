"""Environments: the pinpad grid, its tasks, expert and exact Bayes filter; never torch.

Importing this package registers ``irl_lens/GridPinpad-v0`` with Gymnasium. The entry
points are strings, so that nothing is loaded before an environment is made.
"""

from gymnasium.envs.registration import register

register(
    id="irl_lens/GridPinpad-v0",
    entry_point="irl_lens.envs.pinpad.env:GridPinpadEnv",
    vector_entry_point="irl_lens.envs.pinpad.vector_env:GridPinpadVectorEnv",
)
