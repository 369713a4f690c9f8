"""Roll-outs that leave a walk: by the base alone, patched, or steered; before and after alike.

Every roll-out takes the walk's own actions up to the step it leaves at, so that board, cache
and the gate's memory are to the bit what they were there, and draws its own from then on, the
same chances whatever acts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from irl_lens.analyses.explorer.actions import Action, action_array
from irl_lens.analyses.explorer.clean_companion import CleanCompanion
from irl_lens.analyses.explorer.outing import Outing
from irl_lens.analyses.explorer.patched_cache import attending
from irl_lens.analyses.explorer.patching import Tick, active, carried, contrast, gathered, patched
from irl_lens.analyses.explorer.state import Segment, State, Steering
from irl_lens.analyses.explorer.workbench import Workbench
from irl_lens.analyses.rollouts.patched_actor import PatchedActor
from irl_lens.arrays import NDArray
from irl_lens.envs.scenes import TraceableSituation
from irl_lens.envs.spaces import DiscreteActions
from irl_lens.errors import UserError
from irl_lens.hooks import Intervention, Mask, Scale
from irl_lens.models.causal import CausalHalf
from irl_lens.models.fast import FastPath
from irl_lens.rl.runner import RolloutRunner

OWN, SHUT, OPEN = -1, 0, 1


@dataclass(frozen=True)
class Walked:
    """What roll-outs need to go on from a patched walk.

    Attributes:
        parts: The patches up to the step they leave it at, in the residual stream.
        base: The base, its keys and values patched.
        companion: The clean run that goes on beside them, if patches are held.
    """

    parts: list[Intervention]
    base: FastPath
    companion: CleanCompanion | None


class Regated(PatchedActor):
    """Takes given codes at given steps, and lets the gate be between.

    Args:
        meta: The metacontroller.
        codes: The code each row takes up if the gate opens at a step.
        gate: At each step, whether the gate is its own, shut or open.
        acts: Whether codes act at each step.
    """

    def __init__(
        self,
        meta: CausalHalf,
        codes: Float[Tensor, "n steps latent"],
        gate: Int[NDArray[np.int64], " steps"],
        acts: NDArray[np.bool_],
    ) -> None:
        super().__init__(meta, codes)
        self.gates, self.acts = gate, acts

    def forward(self, x: Float[Tensor, "rows 1 d_model"]) -> Float[Tensor, "rows 1 d_model"]:
        """Acts at one step; at ``offset`` 0 new episodes begin."""
        acted = super().forward(x)
        return acted if self.acts[self.offset] else x

    def _patched(self, part, own: Tensor) -> Tensor:
        if part != "gate" or self.gates[self.offset] == OWN:
            return own
        return torch.full_like(own, bool(self.gates[self.offset] == OPEN))


class Ticker(Intervention):
    """Changes nothing; tells of each step, so that long work shows how far it is and can stop."""

    def __init__(self, tick: Tick) -> None:
        super().__init__("blocks.0.hook_resid_pre")
        self.tick = tick

    def forward(self, x: Tensor) -> Tensor:
        """Returns what it is given."""
        self.tick(self.offset)
        return x


def hooks(workbench: Workbench, segments: Sequence[Segment], rows: int) -> list[Intervention]:
    """What acts in roll-outs."""
    horizon = workbench.world.horizon
    ends = [*(s.since for s in segments[1:]), horizon]
    found: list[Intervention] = []
    for segment, end in zip(segments, ends, strict=True):
        steering = segment.steering
        if steering.kind == "controller":
            held = Scale(controller(workbench, steering), steering.strength)
            found.append(Mask(held, steps=range(segment.since, max(end, segment.since))))
    if any(segment.steering.kind == "code" for segment in segments):
        found.append(_coded(workbench, segments, ends, rows))
    return found


def controller(workbench: Workbench, steering: Steering):
    """The controller of the bank that is named.

    Raises:
        UserError: There is none.
    """
    bank = workbench.banks.get(steering.layer or 0)
    if bank is None:
        none = workbench.lacking if workbench.step is not None else "train the stage controllers"
        there = ", ".join(map(str, workbench.banks)) or f"none: {none}"
        raise UserError(f"no controllers at layer {steering.layer}; there are {there}")
    if steering.name is None or steering.name not in bank:
        raise UserError(f"no controller {steering.name!r}; there are {', '.join(bank)}")
    return bank[steering.name]


def play(
    workbench: Workbench,
    situation: TraceableSituation,
    actions: Sequence[Action],
    parts: Sequence[Intervention],
    rows: int,
    seed: int,
    subgoals: int,
    tick: Tick | None = None,
    walk: Walked | None = None,
) -> Outing:
    """Plays roll-outs that begin with given actions, until so many subgoals were reached.

    Args:
        workbench: The run.
        situation: Where.
        actions: The first ones.
        parts: What acts.
        rows: How many.
        seed: Of the actions that follow.
        subgoals: After how many it ends.
        tick: Told of every step.
        walk: The patched walk that they go on from, if it is.
    """
    env, base = situation.roaming(rows, subgoals), workbench.loaded.base
    parts = [*parts, *([Ticker(tick)] if tick else [])]
    if walk is not None:
        first, last = walk.companion.parts(env) if walk.companion else ([], [])
        parts, base = [*first, *walk.parts, *parts, *last], walk.base
    hook = gathered(parts) if parts else None
    taken = action_array(workbench.actions, actions)
    given = torch.from_numpy(np.tile(taken, (rows, *[1] * taken.ndim)))
    real = not isinstance(workbench.actions, DiscreteActions)
    with workbench.lock:
        runner = RolloutRunner(base, workbench.world.horizon, hook, whole=real)
        played = runner.play(env, seed, given=given)
    places, since = situation.scene().places, len(actions)
    return Outing(env.path, env.trail, env.lengths, played.actions, env.reached, since, places)


def roll(
    workbench: Workbench,
    state: State,
    patches: bool = False,
    steered: bool = False,
    tick: Tick | None = None,
) -> Outing:
    """Rolls out from the step looked at, until the next subgoal is reached or the agent strays.

    Args:
        workbench: The run.
        state: On ``side``; patches act on the edited board alone.
        patches: With the patches in force.
        steered: With the steering.
        tick: Told of every step.

    Raises:
        UserError: The walk cannot be walked so far on that board.
    """
    situation = workbench.situation(state.edited if state.side == "edited" else state.clean)
    done = followed(situation, state)
    parts: list[Intervention] = []
    walk = walked(workbench, state) if patches and active(state) else None
    if steered:
        segments = [Segment(state.step, state.steering, state.rollout_seed)]
        parts += hooks(workbench, segments, state.rows)
    actions, many = state.actions[: state.step], (state.rows, state.rollout_seed, done + 1)
    return play(workbench, situation, actions, parts, *many, tick, walk)


def walked(workbench: Workbench, state: State) -> Walked:
    """The patches in force, as roll-outs take them that go on from the walk."""
    spots, runs = active(state), contrast(workbench, state)
    _, stream = patched(workbench, state, runs)
    return Walked(
        carried(spots, stream, state.step, workbench.world.horizon),
        attending(workbench.loaded.base, runs.clean, spots),
        companion_of(workbench, state),
    )


def companion_of(workbench: Workbench, state: State) -> CleanCompanion | None:
    """The clean run that goes on beside roll-outs; None if no patch is held."""
    held = [spot for spot in active(state) if spot.held]
    if not held:
        return None
    clean, horizon = workbench.situation(state.clean), workbench.world.horizon
    return CleanCompanion(workbench.copy, workbench.boards, clean, held, state.step, horizon)


def followed(situation: TraceableSituation, state: State) -> int:
    """How many subgoals a board's walk has reached at the step looked at.

    Raises:
        UserError: On this board the walk's actions lead elsewhere, or end the episode sooner.
    """
    env = situation.roaming(1, situation.scene().places)
    env.reset(seed=0)
    for step, action in enumerate(action_array(env.actions, state.actions[: state.step])):
        _, _, done, out, _ = env.step(action[None])
        if env.path[0, -1] != state.walk[step + 1] or done[0] or out[0]:
            raise UserError(
                f"on the {state.side} board the walk is blocked or ends after step {step}, so "
                f"nothing can leave it at step {state.step}; look at step {step} or sooner, or "
                "roll out on the other board"
            )
    return int((env.reached >= 0).sum())


def _coded(
    workbench: Workbench, segments: Sequence[Segment], ends: Sequence[int], rows: int
) -> Regated:
    """Codes of all segments, and what the gate does at each step."""
    horizon = workbench.world.horizon
    codes = torch.zeros(rows, horizon, workbench.acting.decoder.n_z)
    gate, acts = np.full(horizon, SHUT), np.zeros(horizon, bool)
    for segment, end in zip(segments, ends, strict=True):
        steering, since = segment.steering, segment.since
        if steering.kind != "code" or since >= end:
            continue
        acts[since:end] = True
        gate[since:end] = OWN if steering.gate == "own" else SHUT
        gate[since] = OPEN
        codes[:, since:end] = _drawn(workbench, rows, segment.seed)[:, since:end]
        codes[:, since] = torch.tensor(steering.code)
        if steering.forced is not None and since < steering.forced < end:
            gate[steering.forced] = OPEN
    return Regated(workbench.acting, codes, gate, acts)


def _drawn(workbench: Workbench, rows: int, seed: int) -> Float[Tensor, "rows steps latent"]:
    """A code of the demonstrations for every row and step."""
    size, rng = (rows, workbench.world.horizon), np.random.default_rng(seed)
    return workbench.switch_codes.take(
        workbench.switch_codes.draw(size[0] * size[1], rng).reshape(size)
    )
