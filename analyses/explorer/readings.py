"""What the model and the exact filter make of the step looked at, in every run side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from irl_lens.analyses.explorer.patching import Observed, active, contrast, pair, patched
from irl_lens.analyses.explorer.state import State
from irl_lens.analyses.explorer.workbench import Workbench
from irl_lens.envs.protocol import filtered
from irl_lens.envs.scenes import WalkableSituation
from irl_lens.models.base import hook_name


@dataclass(frozen=True)
class Reading:
    """One run, ``clean``, ``edited`` or ``patched``, at the step looked at.

    Attributes:
        actions: Probability of each action.
        probe: Probability of each subgoal by a linear probe of the stream.
        bayes: The same by the exact filter; None where it cannot say.
        why_not: Why it cannot.
        gate: How far the gate is open at each step of the walk; None without one.
    """

    actions: tuple[float, ...]
    probe: tuple[float, ...]
    bayes: tuple[float, ...] | None
    why_not: str
    gate: tuple[float, ...] | None


def readings(workbench: Workbench, state: State) -> dict[str, Reading]:
    """Reads every run; ``patched`` only if a patch is in force."""
    runs, situations = contrast(workbench, state), pair(workbench, state)
    streams: dict[str, tuple[Observed, WalkableSituation]] = {
        "clean": (runs.clean, situations[0]),
        "edited": (runs.corrupted, situations[1]),
    }
    if active(state):
        streams["patched"] = patched(workbench, state, runs)[1], situations[1]
    return {
        name: _read(workbench, state, stream, situation)
        for name, (stream, situation) in streams.items()
    }


def bayes(
    workbench: Workbench, state: State, situation: WalkableSituation
) -> tuple[tuple[float, ...] | None, str]:
    """The exact filter's belief about the subgoal, or why it has none."""
    stop = state.step + 1
    walk, actions = np.array(state.walk[:stop]), np.array(state.actions[:stop])
    try:
        floor = filtered(workbench.world).floor(situation.retraced(walk, actions))
    except ValueError:
        return None, "no training task explains this walk on this board"
    return tuple(floor.require("subgoals")[0, -1].tolist()), ""


@torch.no_grad()
def _read(
    workbench: Workbench, state: State, stream: Observed, situation: WalkableSituation
) -> Reading:
    model, probe = workbench.model, workbench.probe(state.layer)
    with workbench.lock:
        last = stream[hook_name(workbench.layers)][0, -1]
        outputs = model.unembed(model.ln_final(last[None, None]))[0, 0]
        actions = workbench.loaded.base.action_head.policy(outputs)
        believed = probe.probabilities(stream[hook_name(state.layer)][0, -1])
    return Reading(
        tuple(actions.tolist()),
        tuple(believed.tolist()),
        *bayes(workbench, state, situation),
        _gate(workbench, stream),
    )


def _gate(workbench: Workbench, stream: Observed) -> tuple[float, ...] | None:
    if workbench.meta is None:
        return None
    e: Tensor = stream[workbench.meta.hook_name]
    with workbench.lock:
        beta = workbench.meta(e, e.new_ones(e.shape[:2], dtype=torch.bool)).beta
    return tuple(beta[0].tolist())
