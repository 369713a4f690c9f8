"""A model's run with a controller on, and off: what of the difference each head and MLP carries.

    x_a - x_b, on less off,    a_t, b_t the actions whose logits it raises and lowers most at t

is split in two ways, over all steps of an episode:

    written   into the terms of the logit that each writer has by itself (see patching.direct)
    lost      m(on) - m(on, with the part's output as it was off): how much of the difference
              is gone when one head or MLP after the controller does not hear of it

The parts that are lost need not add up: a later part may make up for an earlier one, or do
its bidding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformer_lens import HookedTransformer

from irl_lens.analyses.patching.direct import split_logits
from irl_lens.arrays import NDArray
from irl_lens.hooks import Intervention, ReplacePatch

KEPT = (
    "hook_resid_pre",
    "hook_resid_mid",
    "hook_resid_post",
    "hook_z",
    "hook_mlp_out",
    "ln_final.hook_scale",
)
ALL = "all of them"
BEFORE = "before it"
Hooks = list[tuple[str | Callable, Callable]]
Parts = Float[NDArray[np.float64], "episodes _parts"]


@dataclass(frozen=True)
class Switched:
    """Two runs over the same episodes.

    Attributes:
        model: The base model.
        layer: At its output the controller acts; counted from 1.
        on: Activations by hook name, with it.
        off: Without it.
        mask: The steps that count.
        logits: Logits of the two runs, on and off, at these steps.
    """

    model: HookedTransformer
    layer: int
    on: Mapping[str, Tensor]
    off: Mapping[str, Tensor]
    mask: Bool[Tensor, "episodes steps"]
    logits: tuple[Float[Tensor, "tokens actions"], Float[Tensor, "tokens actions"]]

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        model: HookedTransformer,
        layer: int,
        controller: Intervention,
        observations: Int[NDArray[np.int32], "episodes steps columns"],
        mask: Bool[NDArray[np.bool_], "episodes steps"],
    ) -> Switched:
        """Runs a model with a controller at the output of a block, and without."""
        counted = torch.from_numpy(mask).to(model.W_U.device)
        with controller.attached(model):
            on, with_it = _run(model, observations)
        off, without = _run(model, observations)
        return cls(model, layer, on, off, counted, (with_it[counted], without[counted]))

    @property
    def pushed(self) -> tuple[Int[Tensor, " tokens"], Int[Tensor, " tokens"]]:
        """The actions whose logits are raised and lowered most, at each step that counts."""
        change = self.logits[0] - self.logits[1]
        return change.argmax(dim=-1), change.argmin(dim=-1)

    @property
    def changed(self) -> float:
        """Share of steps at which another action is preferred."""
        on, off = (logits.argmax(dim=-1) for logits in self.logits)
        return float((on != off).double().mean())

    @property
    def effect(self) -> Float[NDArray[np.float64], " episodes"]:
        """On less off, summed over the steps of each episode [nats]; never negative."""
        return self._by_episode(self._difference(self.logits[0] - self.logits[1]))

    @torch.no_grad()
    def written(self) -> tuple[tuple[str, ...], Parts]:
        """What each writer adds to the effect by itself; over the parts it adds up to it.

        All that comes before the controller is one part: its terms change by the scale of the
        last normalisation alone.
        """
        at = f"blocks.{self.layer - 1}.hook_resid_post"
        (names, on), (_, off) = (
            split_logits(self.model, {n: x[self.mask] for n, x in run.items()}, {at})
            for run in (self.on, self.off)
        )
        change = (on - off).movedim(1, 0)
        parts = np.stack([self._by_episode(self._difference(term)) for term in change], axis=1)
        after = names.index(f"L{self.layer} controller")
        late = slice(after + 1, len(names) - 1)
        before = parts.sum(axis=1) - parts[:, after] - parts[:, late].sum(axis=1)
        names = (BEFORE, "controller", *names[late])
        return names, np.column_stack([before, parts[:, after], parts[:, late]])

    def lost(self) -> tuple[tuple[str, ...], Parts]:
        """What of the effect is lost with each head and MLP after it as it was off; all, last."""
        parts, every = {}, list[tuple[str | Callable, Callable]]()
        for layer in range(self.layer, self.model.cfg.n_layers):
            heads, mlp = f"blocks.{layer}.attn.hook_z", f"blocks.{layer}.hook_mlp_out"
            for head in range(self.model.cfg.n_heads):
                patch = ReplacePatch(self.off[heads], heads, heads=[head])
                parts[f"L{layer + 1}H{head}"] = self._without(layer, [*patch.fwd_hooks()])
            patch = ReplacePatch(self.off[mlp], mlp)
            parts[f"L{layer + 1} MLP"] = self._without(layer, [*patch.fwd_hooks()])
            every += ReplacePatch(self.off[heads], heads).fwd_hooks() + patch.fwd_hooks()
        parts[ALL] = self._without(self.layer, every)
        return tuple(parts), np.column_stack(list(parts.values()))

    @torch.no_grad()
    def _without(self, layer: int, hooks: Hooks) -> Float[NDArray[np.float64], " episodes"]:
        """On, less the same with patches from a block on, which the run begins with."""
        stream = self.on[f"blocks.{layer}.hook_resid_pre"]
        logits = self.model.run_with_hooks(
            stream, start_at_layer=layer, return_type="logits", fwd_hooks=hooks
        )
        return self._by_episode(self._difference(self.logits[0] - logits[self.mask]))

    def _difference(self, logits: Float[Tensor, "tokens actions"]) -> Float[Tensor, " tokens"]:
        tokens, (up, down) = torch.arange(len(logits), device=logits.device), self.pushed
        return logits[tokens, up] - logits[tokens, down]

    def _by_episode(
        self, values: Float[Tensor, " tokens"]
    ) -> Float[NDArray[np.float64], " episodes"]:
        table = values.new_zeros(self.mask.shape, dtype=torch.float64)
        table[self.mask] = values.double()
        return table.sum(dim=1).cpu().numpy()


def _run(
    model: HookedTransformer, observations: Int[NDArray[np.int32], "episodes steps columns"]
) -> tuple[Mapping[str, Tensor], Float[Tensor, "episodes steps actions"]]:
    logits: Any
    logits, cache = model.run_with_cache(
        torch.from_numpy(observations).to(model.W_U.device),
        names_filter=lambda name: name.endswith(KEPT),
        return_type="logits",
    )
    return cache.cache_dict, logits
