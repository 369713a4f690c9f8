"""Action heads: distributions over actions, read from the outputs of the unembedding."""

from __future__ import annotations

from irl_lens.config.schema import Deviation
from irl_lens.envs.spaces import ActionSpec, DiscreteActions
from irl_lens.models.heads.action_head import ActionHead
from irl_lens.models.heads.categorical import Categorical
from irl_lens.models.heads.gaussian import Gaussian


def head_of(actions: ActionSpec, deviation: Deviation) -> ActionHead:
    """Returns the head for the actions of a world.

    Args:
        actions: What can be done.
        deviation: What the deviation of continuous actions depends on.
    """
    if isinstance(actions, DiscreteActions):
        return Categorical(actions.n)
    return Gaussian(actions.size, deviation, actions.low, actions.high)
