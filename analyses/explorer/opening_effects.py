"""How much there is to see of a pair: three effects, each from 0 to 1, and their sum.

patch     how many more roll-outs come upon what the clean ones come upon, while one is held
steering  how differently roll-outs come upon things first, by the controller that moves the next
          action most: total variation
earlier   the largest share of the edit that one patch undoes before the step looked at
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from irl_lens.analyses.explorer.outing import Outing
from irl_lens.analyses.explorer.patching import swept
from irl_lens.analyses.explorer.rollouts import roll
from irl_lens.analyses.explorer.state import Spot, State, Steering
from irl_lens.analyses.explorer.steering_shift import steering_shift
from irl_lens.analyses.explorer.workbench import Workbench
from irl_lens.envs.scenes import Scene
from irl_lens.errors import UserError

ROWS, ENOUGH = 16, 2.3
"""Roll-outs of each kind, and a sum of effects that is enough: no two of them make it up."""


def effects(workbench: Workbench, state: State) -> float:
    """Returns the sum of the effects; -1 where the walk cannot be followed on the edited board."""
    state = replace(state, rows=ROWS)
    try:
        alone = roll(workbench, state)
        patch = _redirected(workbench, state, alone)
    except UserError:
        return -1.0
    return patch + _steered(workbench, state, alone) + _earlier(workbench, state)


def _redirected(workbench: Workbench, state: State, alone: Outing) -> float:
    last = Spot("residual post", workbench.layers, state.step, held=True)
    edited = workbench.situation(state.edited).scene()
    wanted = _aim(roll(workbench, replace(state, side="clean")), edited)
    after = roll(workbench, replace(state, spots=(last,)), patches=True)
    return after.first(edited)[wanted] - alone.first(edited)[wanted]


def _steered(workbench: Workbench, state: State, alone: Outing) -> float:
    acting = [
        replace(state, steering=Steering("controller", layer, name))
        for layer, bank in workbench.banks.items()
        for name in bank
    ]
    if not acting:
        return 0.0
    best = max(acting, key=lambda acts: steering_shift(workbench, acts)["steered"].kl)
    scene = workbench.situation(state.edited).scene()
    before, after = alone.first(scene), roll(workbench, best, steered=True).first(scene)
    return sum(abs(after[name] - before[name]) for name in before) / 2


def _earlier(workbench: Workbench, state: State) -> float:
    shares = np.abs(swept(workbench, state).shares[:, :-1])
    return min(1.0, float(np.nanmax(shares, initial=0.0)))


def _aim(outing: Outing, scene: Scene) -> str:
    """What most agents come upon first, by what lies there on another board."""
    found = outing.first(scene)
    return max(found, key=lambda name: found[name])
