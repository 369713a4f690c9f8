"""The clean and the corrupted run of a base model over pairs, with all activations.

Of many pairs those are kept that change the model's choice most: where the model does not act
on the edit there is nothing to find, and nothing to normalise by. The choice is made from the two
whole runs alone, before anything is patched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import nan
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformer_lens import HookedTransformer

from irl_lens.analyses.core.options import Count, Seed
from irl_lens.analyses.patching.metrics import (
    Readout,
    Way,
    difference,
    measured,
    metrics_of,
    readout_of,
)
from irl_lens.analyses.patching.pairs import (
    DEMONSTRATION,
    Observations,
    Pairs,
    edits_of,
    make_pairs,
)
from irl_lens.arrays import NDArray
from irl_lens.envs.contracts import has_recorded
from irl_lens.envs.protocol import World
from irl_lens.envs.spaces import ActionSpec, DiscreteActions
from irl_lens.errors import UserError

HOOKS = {
    "residual pre": "hook_resid_pre",
    "residual mid": "hook_resid_mid",
    "residual post": "hook_resid_post",
    "attention out": "hook_attn_out",
    "mlp out": "hook_mlp_out",
    "head z": "attn.hook_z",
    "q": "attn.hook_q",
    "k": "attn.hook_k",
    "v": "attn.hook_v",
    "pattern": "attn.hook_pattern",
}
"""Hook point within a block of every component that can be patched."""

RUN_AT_ONCE = 512
"""Most pairs that are read at once."""

PART = 64
"""Most pairs whose activations are kept at once where they need not all be."""

BY_HEAD = ("head z", "q", "k", "v", "pattern")
"""The components that are patched head by head."""


@dataclass(frozen=True)
class Contrast:
    """A model's two runs.

    Attributes:
        model: The base model.
        pairs: The episodes.
        metric: Name of the metric.
        readout: The actions that it compares, or the way that the mean of real ones goes.
        clean: Activations of the clean run by hook name, ``[pairs, ...]``.
        corrupted: The same of the corrupted run.
        values: The metric in the clean and the corrupted run, ``[2, pairs]``.
    """

    model: HookedTransformer
    pairs: Pairs
    metric: str
    readout: Readout | Way
    clean: Mapping[str, Tensor]
    corrupted: Mapping[str, Tensor]
    values: Float[NDArray[np.float64], "2 pairs"]

    @classmethod
    def of(
        cls,
        model: HookedTransformer,
        pairs: Pairs,
        metric: str,
        actions: ActionSpec | None = None,
    ) -> Contrast:
        """Runs a model over pairs.

        Args:
            model: The base model.
            pairs: The episodes.
            metric: One of :func:`irl_lens.analyses.patching.metrics.metrics_of` the actions.
            actions: What its outputs are of; as many actions of a list if not given.

        Raises:
            UserError: There is no such metric.
        """
        actions = actions or DiscreteActions(model.cfg.d_vocab_out)
        if metric not in (known := metrics_of(actions)):
            raise UserError(
                f"no metric {metric!r}; there are {', '.join(known)} of {actions.described()}"
            )
        ends = decided(model, pairs)
        readout = readout_of(ends[0], ends[1], actions)
        values = [measured(metric, end, readout).double().cpu().numpy() for end in ends]
        clean, corrupted = (activations(model, x) for x in (pairs.clean, pairs.corrupted))
        return cls(model, pairs, metric, readout, clean, corrupted, np.stack(values))

    @property
    def total(self) -> Float[NDArray[np.float64], " pairs"]:
        """The metric in the clean run less that in the corrupted one."""
        return self.values[0] - self.values[1]

    @property
    def changed(self) -> float:
        """Share of pairs in which the edit makes the model prefer another action.

        NaN of real actions, of which none is preferred.
        """
        if isinstance(self.readout, Way):
            return nan
        return float(self.readout.changed.double().mean())

    def measure(self, logits: Float[Tensor, "rows steps actions"]) -> Float[Tensor, "sites pairs"]:
        """Returns the metric at the decision; rows are all pairs, site after site."""
        logits = logits.unflatten(0, (-1, len(self.pairs)))
        rows, steps = _decisions(self.model, self.pairs)
        return measured(self.metric, logits[:, rows, steps], self.readout)

    def steps(self, lags: int) -> Int[Tensor, "lags pairs"]:
        """Returns the step at each lag, 0 to ``lags`` - 1, before each decision.

        Raises:
            ValueError: A decision comes sooner than that.
        """
        if lags > self.pairs.decisions.min() + 1:
            raise ValueError(
                f"{lags} lags, but a decision falls on step {self.pairs.decisions.min()}; take "
                f"{self.pairs.decisions.min() + 1} lags at most, or later decisions"
            )
        return beside(self.model, self.pairs.decisions - np.arange(lags)[:, None])


@dataclass(frozen=True)
class Setting:
    """What the analyses of patching share.

    Attributes:
        edit: One of :func:`irl_lens.analyses.patching.pairs.edits_of` the world; the usual one of
            it when not given.
        pairs: Number of pairs.
        pool: Pairs made for each one kept.
        metric: One of :func:`irl_lens.analyses.patching.metrics.metrics_of` the world's actions;
            the usual one of them when not given.
        lags: Steps looked at, the decision and those before it.
        seed: Seed of the pairs.
    """

    edit: str | None = None
    pairs: Count = 32
    pool: Count = 4
    metric: str | None = None
    lags: Count = 8
    seed: Seed = 0

    def within(self, world: World) -> Setting:
        """Returns the same with what the world usually has where nothing was given.

        Where demonstrations are recorded there are as many pairs as can be made of them.
        """
        named = replace(
            self,
            edit=self.edit or edits_of(world)[0],
            metric=self.metric or metrics_of(world.actions)[0],
        )
        if named.edit != DEMONSTRATION or not has_recorded(world):
            return named
        found = len(named.made(world))
        pairs = min(self.pairs, found)
        return replace(named, pairs=pairs, pool=min(self.pool, found // pairs))

    def usual(self, world: World) -> Setting:
        """Returns :meth:`within`, with the usual metric whatever was given."""
        return replace(self, metric=None).within(world)

    def made(self, world: World) -> Pairs:
        """Makes the pairs, of which some are kept."""
        edit = self.edit or edits_of(world)[0]
        return make_pairs(world, edit, self.pairs * self.pool, self.seed, self.lags - 1)

    def contrast(self, world: World, model: HookedTransformer) -> Contrast:
        """Makes the pairs and runs the base over them.

        Raises:
            UserError: The base acts the same in all clean and corrupted episodes.
        """
        return Contrast.of(model, self.kept(world, model), self.named(world), world.actions)

    def parts(self, world: World, model: HookedTransformer) -> Iterator[Contrast]:
        """The same, some pairs at a time: of many not all activations fit into memory.

        Raises:
            UserError: The base acts the same in all clean and corrupted episodes.
        """
        return in_parts(model, self.kept(world, model), self.named(world), world.actions)

    def named(self, world: World) -> str:
        """The metric, or the usual one."""
        return self.metric or metrics_of(world.actions)[0]

    def kept(self, world: World, model: HookedTransformer) -> Pairs:
        """Makes the pairs and keeps those that change the choice most.

        Raises:
            UserError: The base acts the same in all clean and corrupted episodes.
        """
        pairs = self.made(world)
        ends = decided(model, pairs)
        readout = readout_of(ends[0], ends[1], world.actions)
        clean, corrupted = (difference(end, readout).cpu().numpy() for end in ends)
        change = clean - corrupted
        if not change.any():
            raise UserError(
                f"{pairs.edit!r} changes nothing of what the base does in {len(pairs)} pairs; "
                "take another edit"
            )
        return pairs.rows(np.sort(np.argsort(-change, kind="stable")[: self.pairs]))


DEFAULT = Setting()


def in_parts(
    model: HookedTransformer,
    pairs: Pairs,
    metric: str,
    actions: ActionSpec | None = None,
    part: int = PART,
) -> Iterator[Contrast]:
    """Runs a model over pairs, ``part`` of them at a time at most; see :meth:`Contrast.of`."""
    # Of like size: a pair that were alone in a part would have no unrelated one.
    for rows in np.array_split(np.arange(len(pairs)), -(-len(pairs) // part)):
        yield Contrast.of(model, pairs.rows(rows), metric, actions)


def beside(model: HookedTransformer, array: NDArray[Any]) -> Tensor:
    """An array as a tensor where a model's weights are."""
    return torch.from_numpy(array).to(model.W_U.device)


@torch.no_grad()
def decided(model: HookedTransformer, pairs: Pairs) -> list[Float[Tensor, "pairs actions"]]:
    """Returns the logits at the decisions of the clean and of the corrupted episodes."""
    parts = np.array_split(np.arange(len(pairs)), -(-len(pairs) // RUN_AT_ONCE))
    ends = [_decided(model, pairs.rows(rows)) for rows in parts]
    return [torch.cat(side) for side in zip(*ends, strict=True)]


def _decided(model: HookedTransformer, pairs: Pairs) -> list[Tensor]:
    at, sides = _decisions(model, pairs), (pairs.clean, pairs.corrupted)
    return [model(beside(model, x), return_type="logits")[at] for x in sides]


@torch.no_grad()
def activations(model: HookedTransformer, observations: Observations) -> Mapping[str, Tensor]:
    """Runs a model and keeps what can be patched, and the scale of the last normalisation."""
    kept = (*HOOKS.values(), "ln_final.hook_scale")
    _, cache = model.run_with_cache(
        beside(model, observations), names_filter=lambda name: name.endswith(kept)
    )
    return cache.cache_dict


def _decisions(model: HookedTransformer, pairs: Pairs) -> tuple[Tensor, Tensor]:
    """Row and step of every decision."""
    return beside(model, np.arange(len(pairs))), beside(model, pairs.decisions)
