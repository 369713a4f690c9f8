"""What steering does to the next action, at the step looked at, before anything is played.

    p(a | o_1..t)     against     p(a | o_1..t, x^l_t <- x^l_t + U x^l_t)

The stream is that of the walk, on the board of roll-outs; what steers acts at its last step.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from irl_lens.analyses.explorer.actions import split_policy
from irl_lens.analyses.explorer.patching import watched
from irl_lens.analyses.explorer.rollouts import controller
from irl_lens.analyses.explorer.state import State
from irl_lens.analyses.explorer.workbench import Workbench
from irl_lens.analyses.patching.contrast import beside
from irl_lens.errors import UserError
from irl_lens.hooks import CodeController, Intervention, Mask, Scale


@dataclass(frozen=True)
class NextAction:
    """The next action by the base alone, or with what steers.

    Attributes:
        actions: Probability of each action, or mean of each number of a real one.
        deviations: Of each number; None where actions are of a list.
        kl: How far it is from the base's alone, KL(alone || this) [nats].
    """

    actions: tuple[float, ...]
    deviations: tuple[float, ...] | None
    kl: float


def steering(workbench: Workbench, state: State, stop: int | None = None) -> Intervention:
    """What steers, as an intervention that acts from the step looked at on.

    Args:
        workbench: The run.
        state: Its step and steering are used.
        stop: The first step at which it acts no more; the horizon if None.

    Raises:
        UserError: Nothing does.
    """
    acts, stop = state.steering, workbench.world.horizon if stop is None else stop
    if acts.kind == "controller":
        held = Scale(controller(workbench, acts), acts.strength)
        return Mask(held, steps=range(state.step, stop))
    if acts.kind == "code":
        z = torch.tensor(acts.code).expand(1, stop, -1).clone()
        coded = CodeController(workbench.acting.decoder, z, workbench.acting.hook_name)
        return Mask(coded, steps=range(state.step, stop))
    raise UserError("nothing steers; choose a controller or a code first")


@torch.no_grad()
def steering_shift(workbench: Workbench, state: State) -> dict[str, NextAction]:
    """Reads the next action by the base ``alone`` and, if anything steers, ``steered``."""
    plain = state.edited if state.side == "edited" else state.clean
    model, head = workbench.model, workbench.loaded.base.action_head
    seen = beside(model, watched(workbench, state, plain))
    hooks = {"alone": []}
    if state.steering.kind != "nothing":
        hooks["steered"] = [*steering(workbench, state, state.step + 1).fwd_hooks()]
    with workbench.lock:
        outputs = {
            name: model.run_with_hooks(seen, return_type="logits", fwd_hooks=acts)[0, -1]
            for name, acts in hooks.items()
        }
    return {
        name: NextAction(
            *split_policy(workbench.actions, head.policy(x).cpu().numpy()),
            head.kl(outputs["alone"], x).item(),
        )
        for name, x in outputs.items()
    }
