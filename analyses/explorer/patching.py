"""Patches from the clean into the edited run: what each would do, and what those in force do.

    x^l_t <- x^l_t(clean)          for every spot (component, l, t, head) in force

Both runs have the same walk, so that step t of one is step t of the other. Roll-outs go on
from a patched walk by cached decoding, which takes hooks on the residual stream alone. There,
a patch of any spot at step t is the residual stream that the patched forward has next after
it: everything downstream reads nothing else of that place. Keys and values are read by later
steps too: they are patched in the cache (:mod:`irl_lens.analyses.explorer.patched_cache`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from irl_lens.analyses.explorer.patched_cache import ATTENDED
from irl_lens.analyses.explorer.state import Spot, State
from irl_lens.analyses.explorer.workbench import Workbench
from irl_lens.analyses.patching.contrast import BY_HEAD, HOOKS, Contrast, activations, beside
from irl_lens.analyses.patching.grid import site_names
from irl_lens.analyses.patching.metrics import Readout, Way, measured, readout_of
from irl_lens.analyses.patching.pairs import Pairs
from irl_lens.analyses.patching.sweep import sweep
from irl_lens.arrays import NDArray
from irl_lens.envs.scenes import TraceableSituation
from irl_lens.errors import UserError
from irl_lens.hooks import Compose, Intervention, ReplacePatch, Together

Tick = Callable[[int], None]
"""Told of every step; may raise to stop."""
Observed = Mapping[str, Tensor]
SWEPT = 128
"""Steps of the heat map at most, the last ones: all are patched in one forward a site."""


@dataclass(frozen=True)
class Sweep:
    """What patching each place alone does to the metric.

    Attributes:
        sites: Layers or heads.
        effects: ``[sites, steps]``, the last of which is the one looked at.
        clean: The metric in the clean run.
        edited: The same in the edited run.
        why: The action asked about; None of real actions.
        rather: The other.
        since: The first step.
    """

    sites: tuple[str, ...]
    effects: Float[NDArray[np.float64], "sites steps"]
    clean: float
    edited: float
    why: int | None
    rather: int | None
    since: int = 0

    @property
    def shares(self) -> Float[NDArray[np.float64], "sites steps"]:
        """Effects as shares of clean less edited; NaN where these are equal."""
        total = self.clean - self.edited
        return self.effects / (total if abs(total) > 1e-9 else np.nan)

    def to_dataframe(self) -> pd.DataFrame:
        """Returns one row a cell."""
        shares = self.shares
        rows = [
            {"site": site, "step": self.since + step, "effect": value, "share": shares[i, step]}
            for i, site in enumerate(self.sites)
            for step, value in enumerate(self.effects[i])
        ]
        return pd.DataFrame(rows).assign(clean=self.clean, edited=self.edited)


def pair(workbench: Workbench, state: State) -> tuple[TraceableSituation, TraceableSituation]:
    """The clean and the edited situation."""
    return workbench.situation(state.clean), workbench.situation(state.edited)


def contrast(workbench: Workbench, state: State) -> Contrast:
    """Runs the base over both episodes up to the step looked at."""
    seen = [watched(workbench, state, plain) for plain in (state.clean, state.edited)]
    pairs = Pairs("edit", seen[0], seen[1], np.array([state.step]), ("edit",))
    with workbench.lock:
        clean, edited = (activations(workbench.model, x) for x in seen)
        ends = [_logits(workbench, cache)[:, -1] for cache in (clean, edited)]
    readout = readout_of(ends[0], ends[1], workbench.actions)
    if isinstance(readout, Readout):
        readout = _asked(state, readout, *ends)
    values = [measured(state.metric, end, readout).double().cpu().numpy() for end in ends]
    return Contrast(workbench.model, pairs, state.metric, readout, clean, edited, np.stack(values))


def watched(
    workbench: Workbench, state: State, plain: dict[str, Any]
) -> Shaped[NDArray[Any], "1 steps columns"]:
    """What is seen of the walk, up to the step looked at, in a situation of plain values."""
    until = slice(state.step + 1)
    return workbench.retraced(plain, state.walk[until], state.actions[until]).observations


def sites(workbench: Workbench, state: State) -> tuple[str, ...]:
    """Names of the layers, or heads, that the heat map has."""
    return site_names(state.component, workbench.layers, workbench.heads)


def swept(workbench: Workbench, state: State, tick: Tick = lambda step: None) -> Sweep:
    """Patches every layer (or head) and each of the last steps, one at a time.

    Args:
        workbench: The run.
        state: Its boards, walk, component and metric are used.
        tick: Told before each layer, or head, how many are done.
    """
    runs, names = contrast(workbench, state), sites(workbench, state)
    lags, why, rather = min(state.step + 1, SWEPT), None, None
    with workbench.lock:
        found = sweep(runs, [state.component], lags, tick=tick)
    effects = found[state.component][:, ::-1, 0]
    clean, edited = runs.values[:, 0].tolist()
    if not isinstance(runs.readout, Way):
        why, rather = int(runs.readout.clean_action), int(runs.readout.other_action)
    return Sweep(names, effects.copy(), clean, edited, why, rather, state.step + 1 - lags)


@torch.no_grad()
def patched(
    workbench: Workbench, state: State, runs: Contrast
) -> tuple[Float[Tensor, "steps actions"], Observed]:
    """The edited run with the patches in force: logits, and its residual stream by hook name."""
    seen: dict[str, Tensor] = {}

    def keep(x: Tensor, hook) -> None:
        """Keeps the stream."""
        seen[hook.name] = x.detach()

    def residual(name: str) -> bool:
        """Whether a hook point is in the residual stream."""
        return ".hook_resid_" in name

    hook = replacements(runs.clean, active(state), state.step)
    with workbench.lock, workbench.model.hooks(fwd_hooks=[*hook.fwd_hooks()]):
        logits = workbench.model.run_with_hooks(
            beside(workbench.model, runs.pairs.corrupted),
            return_type="logits",
            fwd_hooks=[(residual, keep)],
        )
    return logits[0], seen


def active(state: State) -> tuple[Spot, ...]:
    """The patches that lie within the walk up to the step looked at."""
    return tuple(spot for spot in state.spots if spot.step <= state.step)


def hook_point(spot: Spot) -> str:
    """Hook point of a spot."""
    return f"blocks.{spot.layer - 1}.{HOOKS[spot.component]}"


def replacements(clean: Observed, spots: Sequence[Spot], last: int) -> Together:
    """The patches of spots up to a last step, taken from a clean run's activations."""
    patches = [
        ReplacePatch(
            clean[hook_point(spot)],
            hook_point(spot),
            steps=spot.steps(last),
            heads=None if spot.head is None else [spot.head],
        )
        for spot in spots
    ]
    return gathered(patches)


def gathered(parts: Sequence[Intervention]) -> Together:
    """Interventions as one; those at one hook point act one after the other."""
    names = dict.fromkeys(part.hook_name for part in parts)
    groups = [[part for part in parts if part.hook_name == name] for name in names]
    return Together(*(g[0] if len(g) == 1 else Compose(*g) for g in groups))


def carried(spots: Sequence[Spot], stream: Observed, last: int, horizon: int) -> list[Intervention]:
    """Patches as replacements in the residual stream, for roll-outs that go on from the walk.

    Args:
        spots: The patches; those of keys and values are left out.
        stream: The residual stream of the patched forward, by hook name.
        last: Last step of the walk.
        horizon: Most steps of an episode.
    """
    steps: dict[str, set[int]] = {}
    for spot in (s for s in spots if s.component not in ATTENDED):
        steps.setdefault(follower(spot), set()).update(spot.steps(last))
    found: list[Intervention] = []
    for name in sorted(steps):
        value = stream[name].new_zeros(1, horizon, stream[name].shape[-1])
        value[:, : stream[name].shape[1]] = stream[name]
        found.append(ReplacePatch(value, name, steps=sorted(steps[name])))
    return found


def check_spot(workbench: Workbench, state: State, spot: Spot) -> None:
    """Refuses what there is not.

    Raises:
        UserError: No such component, layer, head or step.
    """
    limits = {"layer": (spot.layer, 1, workbench.layers), "step": (spot.step, 0, state.step)}
    if spot.component not in HOOKS:
        raise UserError(f"no component {spot.component!r}; there are {', '.join(HOOKS)}")
    if spot.head is not None:
        if spot.component not in BY_HEAD:
            raise UserError(f"{spot.component} has no heads; leave the head out")
        limits["head"] = (spot.head, 0, workbench.heads - 1)
    if spot.held and spot.component in BY_HEAD:
        raise UserError(f"{spot.component} can be patched at single steps only")
    for name, (value, low, high) in limits.items():
        if not low <= value <= high:
            raise UserError(f"{name} {value}; take one from {low} to {high}")


def follower(spot: Spot) -> str:
    """The residual stream next after a spot."""
    point = {"residual pre": "pre", "mlp out": "post", "residual post": "post"}
    return f"blocks.{spot.layer - 1}.hook_resid_{point.get(spot.component, 'mid')}"


def _logits(workbench: Workbench, cache: Observed) -> Float[Tensor, "rows steps actions"]:
    model = workbench.model
    with torch.no_grad():
        return model.unembed(
            model.ln_final(cache[f"blocks.{model.cfg.n_layers - 1}.hook_resid_post"])
        )


def _best_but(logits: Tensor, action: Tensor) -> Tensor:
    """The likeliest action but one."""
    return logits.scatter(1, action[:, None], -torch.inf).argmax(dim=-1)


def _asked(state: State, found: Readout, clean: Tensor, edited: Tensor) -> Readout:
    """The actions asked about, or those that the edit changes most."""
    asked = (state.why, found.clean_action), (state.rather, found.other_action)
    why, rather = (
        own if action is None else torch.tensor([action], device=own.device)
        for action, own in asked
    )
    if torch.equal(why, rather):  # one of them was chosen: the other is the next best
        if state.rather is None:
            rather = _best_but(edited, why)
        else:
            why = _best_but(clean, rather)
    return Readout(why, rather, found.clean_log_probs, found.changed)
