"""Action heads: distributions over actions, read from the outputs of the unembedding."""

from __future__ import annotations

from irl_lens.config.value_types import Deviation
from irl_lens.envs.spaces import ActionSpec, DiscreteActions
from irl_lens.models.heads.action_head import ActionHead
from irl_lens.models.heads.categorical import Categorical
from irl_lens.models.heads.gaussian import Gaussian
from irl_lens.models.heads.mixture import Mixture


def head_of(actions: ActionSpec, deviation: Deviation, components: int = 1) -> ActionHead:
    """Returns the head for the actions of a world.

    Args:
        actions: What can be done.
        deviation: What the deviation of continuous actions depends on.
        components: Normal distributions that continuous actions are a mixture of.
    """
    if isinstance(actions, DiscreteActions):
        return Categorical(actions.n)
    if components > 1:
        return Mixture(components, actions.size, deviation, actions.low, actions.high)
    return Gaussian(actions.size, deviation, actions.low, actions.high)
