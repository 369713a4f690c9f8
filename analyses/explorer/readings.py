"""What the model and the exact filter make of the step looked at, in every run side by side."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from irl_lens.analyses.explorer.actions import split_policy
from irl_lens.analyses.explorer.patching import Observed, active, contrast, pair, patched
from irl_lens.analyses.explorer.state import State
from irl_lens.analyses.explorer.workbench import Workbench
from irl_lens.envs.protocol import filtered
from irl_lens.envs.scenes import TraceableSituation
from irl_lens.models.base import hook_name


@dataclass(frozen=True)
class Reading:
    """One run, ``clean``, ``edited`` or ``patched``, at the step looked at.

    Attributes:
        actions: Probability of each action, or mean of each number of a real one.
        deviations: Of each number; None where actions are of a list.
        kl: How far its next action is from the clean run's, KL(clean || this) [nats].
        probe: Probability of each subgoal by a linear probe of the stream.
        bayes: The same by the exact filter; None where it cannot say.
        why_not: Why it cannot.
        gate: How far the gate is open at each step of the walk; None without one.
    """

    actions: tuple[float, ...]
    deviations: tuple[float, ...] | None
    kl: float
    probe: tuple[float, ...]
    bayes: tuple[float, ...] | None
    why_not: str
    gate: tuple[float, ...] | None


def readings(workbench: Workbench, state: State) -> dict[str, Reading]:
    """Reads every run; ``patched`` only if a patch is in force."""
    runs, situations = contrast(workbench, state), pair(workbench, state)
    streams: dict[str, tuple[Observed, TraceableSituation]] = {
        "clean": (runs.clean, situations[0]),
        "edited": (runs.corrupted, situations[1]),
    }
    if active(state):
        streams["patched"] = patched(workbench, state, runs)[1], situations[1]
    clean = _outputs(workbench, runs.clean)
    return {
        name: _read(workbench, state, stream, situation, clean)
        for name, (stream, situation) in streams.items()
    }


def bayes(
    workbench: Workbench, state: State, situation: TraceableSituation
) -> tuple[tuple[float, ...] | None, str]:
    """The exact filter's belief about the subgoal, or why it has none."""
    stop = state.step + 1
    plain, walk, actions = situation.plain(), state.walk[:stop], state.actions[:stop]
    try:
        floor = filtered(workbench.world).floor(workbench.retraced(plain, walk, actions))
    except ValueError:
        return None, "no training task explains this walk on this board"
    return tuple(floor.require("subgoals")[0, -1].tolist()), ""


@torch.no_grad()
def _read(
    workbench: Workbench,
    state: State,
    stream: Observed,
    situation: TraceableSituation,
    clean: Tensor,
) -> Reading:
    probe, head = workbench.probe(state.layer), workbench.loaded.base.action_head
    outputs = _outputs(workbench, stream)
    believed = probe.probabilities(stream[hook_name(state.layer)][0, -1])
    return Reading(
        *split_policy(workbench.actions, head.policy(outputs).cpu().numpy()),
        head.kl(clean, outputs).item(),
        tuple(believed.tolist()),
        *bayes(workbench, state, situation),
        _gate(workbench, stream),
    )


@torch.no_grad()
def _outputs(workbench: Workbench, stream: Observed) -> Float[Tensor, " outputs"]:
    """What the action head reads at the last step of a stream."""
    model = workbench.model
    with workbench.lock:
        last = stream[hook_name(workbench.layers)][0, -1]
        return model.unembed(model.ln_final(last[None, None]))[0, 0]


def _gate(workbench: Workbench, stream: Observed) -> tuple[float, ...] | None:
    if workbench.meta is None:
        return None
    e: Tensor = stream[workbench.meta.hook_name]
    with workbench.lock:
        beta = workbench.meta(e, e.new_ones(e.shape[:2], dtype=torch.bool)).beta
    return tuple(beta[0].tolist())
