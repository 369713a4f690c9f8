"""Where actions lead from every place: of worlds whose actions are moves from place to place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens import HookedTransformer

from irl_lens.analyses.explorer.patching import active, hook_point, replacements
from irl_lens.analyses.explorer.state import State
from irl_lens.analyses.explorer.workbench import Workbench
from irl_lens.analyses.patching.contrast import beside
from irl_lens.arrays import NDArray
from irl_lens.envs.contracts import ask
from irl_lens.envs.scenes import Walkable, WalkableSituation

Field = Float[NDArray[np.float32], "places actions"]


@dataclass(frozen=True)
class Fields:
    """Probability of each action at the step looked at, were the agent at each place; NaN where
    it cannot stand."""

    clean: Field
    before: Field
    after: Field


@torch.no_grad()
def fields(workbench: Workbench, state: State) -> Fields:
    """Where each action leads, at every place, in the clean, edited and patched run.

    Raises:
        NotOffered: Actions are no moves from place to place.
    """
    world = ask(workbench.world, Walkable, "where actions lead from every place")
    clean, edited = (world.stage(plain) for plain in (state.clean, state.edited))
    walk = np.array(state.walk[: state.step])
    spots, model, places = active(state), workbench.model, clean.scene().places
    standing = [np.array(situation.scene().standing) for situation in (clean, edited)]
    seen = [
        _at_each(model, s, walk, there) for s, there in zip((clean, edited), standing, strict=True)
    ]
    names = {hook_point(spot) for spot in spots}
    with workbench.lock:
        plain = [model(x, return_type="logits")[:, -1] for x in seen]
        _, cache = model.run_with_cache(
            _at_each(model, clean, walk, standing[1]), names_filter=lambda name: name in names
        )
        hook = replacements(cache.cache_dict, spots, state.step)
        after = model.run_with_hooks(seen[1], return_type="logits", fwd_hooks=[*hook.fwd_hooks()])[
            :, -1
        ]
    where = (standing[0], standing[1], standing[1])
    policies = map(workbench.loaded.base.action_head.policy, (*plain, after))
    found = [_spread(x, at, places) for x, at in zip(policies, where, strict=True)]
    return Fields(*found)


def _at_each(
    model: HookedTransformer, situation: WalkableSituation, walk: NDArray, places: NDArray
) -> Tensor:
    """What is seen of a walk that ends at each of some places."""
    before = np.broadcast_to(walk, (len(places), len(walk)))
    return beside(model, situation.watch(np.column_stack([before, places])))


def _spread(policy: Tensor, where: NDArray, places: int) -> Field:
    table = np.full((places, policy.shape[1]), np.nan, np.float32)
    table[where] = policy.cpu().numpy()
    return table
