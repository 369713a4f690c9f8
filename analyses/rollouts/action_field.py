"""What an agent would do at every place: p(a | o_1..t, o at p) for each place p of a situation.

One walk leads up to now, and one row of a batch is at each place next: so a field is one
forward pass. From one place to the next need not be one move; where it is not, the agent looks
as if it had stood still (:meth:`irl_lens.envs.scenes.WalkableSituation.watch`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np
import torch
from jaxtyping import Float, Int

from irl_lens.arrays import NDArray
from irl_lens.envs.scenes import WalkableSituation
from irl_lens.hooks import Intervention
from irl_lens.hooks.core.address import indices
from irl_lens.models.fast import FastPath

Walk = Sequence[int] | Int[NDArray[np.integer], " steps"]


@torch.no_grad()
def action_field(
    base: FastPath,
    situation: WalkableSituation,
    walk: Walk = (),
    hook: Intervention | None = None,
    temperature: float = 1.0,
) -> Float[NDArray[np.float32], "places actions"]:
    """Returns action probabilities at every place, after a walk.

    Args:
        base: Reads the observations.
        situation: What is seen.
        walk: Places up to now, the start first; without any, each place is a start.
        hook: Acts at all steps, or at those it names: one more than the walk has. What holds
            a tensor a row has to hold one for all.
        temperature: Actions are drawn from p^(1 / temperature), normalised.

    Returns:
        One row a place; NaN where the agent cannot stand.
    """
    scene = situation.scene()
    standing = np.array(scene.standing)
    before = np.tile(np.array(indices("place", walk), np.int64), (len(standing), 1))
    seen = base.tensor(situation.watch(np.column_stack([before, standing])))
    with nullcontext() if hook is None else hook.attached(base.model):
        logits = base.logits(seen)[:, -1]
    field = np.full((scene.places, logits.shape[-1]), np.nan, np.float32)
    field[standing] = base.action_head.policy(logits, temperature).cpu().numpy()
    return field
