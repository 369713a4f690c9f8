"""Banks of controllers by layer: what the stage ``controllers`` trains and a run keeps."""

from __future__ import annotations

from torch import Tensor

from irl_lens.config.schema import ControllersConfig
from irl_lens.envs.protocol import World
from irl_lens.errors import UserError
from irl_lens.hooks import ControllerBank, controller_kind
from irl_lens.models.base import hook_name

Banks = dict[int, ControllerBank]


def controller_banks(config: ControllersConfig, world: World, d_model: int) -> Banks:
    """Untrained banks by layer: one named controller a subgoal (or a visit).

    Raises:
        UserError: The world names none.
    """
    names = world.subgoal_names if config.label == "subgoal" else world.visit_names
    if not names:
        raise UserError(
            f"{type(world).__name__} names no {config.label}s, and supervised controllers are told "
            "them; have the world label its demonstrations, or go on to the next stage without"
        )
    kind, rank, init = controller_kind(config.kind), config.rank, config.init
    return {
        layer: ControllerBank.trainable(
            kind, names, d_model, hook_name(layer), rank=rank, init=init
        )
        for layer in config.layers
    }


def bank_weights(banks: Banks) -> dict[str, Tensor]:
    """Weights of all banks, those of layer l prefixed ``layer{l}.``"""
    return {
        f"layer{layer}.{name}": value
        for layer, bank in banks.items()
        for name, value in bank.state_dict().items()
    }
