"""The controllers of a run, one for each label, wherever they come from.

Supervised ones were trained with the true label given; those of codes are what the mean code of
each abstract subgoal, where the gate opens, is decoded to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.analyses.core.switch_codes import class_means
from irl_lens.envs.trajectories import Trajectories
from irl_lens.errors import UserError
from irl_lens.hooks import (
    Controller,
    ControllerBank,
    FullController,
    LinearDecoder,
    LowRankController,
)
from irl_lens.models.causal import CausalHalf
from irl_lens.models.fast import FastPath
from irl_lens.models.trace import encode

Source = Literal["controllers", "codes"]


@dataclass(frozen=True)
class LabelControllers:
    """Controllers, and the run's parts with the base that they act in.

    Attributes:
        source: Where they come from.
        loaded: Its base is the one they were trained on.
        banks: By layer.
        label: What they are for: ``"subgoal"`` (abstract) or ``"visit"``.
    """

    source: Source
    loaded: LoadedRun
    banks: dict[int, ControllerBank]
    label: str

    @classmethod
    def of(
        cls, loaded: LoadedRun, source: Source = "controllers", episodes: int = 512
    ) -> LabelControllers:
        """Collects those of a run.

        Args:
            loaded: The run's parts.
            source: Supervised controllers, or those of codes.
            episodes: Most demonstrations that codes are taken from.

        Raises:
            CheckpointError: The stage that makes them is not finished.
            UserError: No switch begins one of the subgoals, so that it has no code.
        """
        if source == "controllers":
            label = loaded.run.preset.controllers.label
            return cls(source, loaded.pretrained, loaded.run.controllers, label)
        meta, acting = loaded.run.metacontroller, loaded.acting
        shown, names = acting.fit.rows(slice(episodes)), acting.world.subgoal_names
        bank = code_bank(meta, acting.base, shown, names)
        return cls(source, acting, {meta.layer: bank}, "subgoal")

    @property
    def best(self) -> int:
        """The layer at which they predict actions best; of codes the only one."""
        if self.source == "codes":
            return next(iter(self.banks))
        measured = self.loaded.run.stage("controllers").result
        return min(self.banks, key=lambda layer: measured[f"nll_layer{layer}"])

    def at(self, layer: int) -> ControllerBank:
        """Returns the controllers of one layer.

        Raises:
            UserError: There are none.
        """
        if layer not in self.banks:
            known = ", ".join(map(str, self.banks))
            raise UserError(f"no controllers at layer {layer}; there are some at {known}")
        return self.banks[layer]


@torch.no_grad()
def code_bank(
    meta: CausalHalf, base: FastPath, shown: Trajectories, names: Sequence[str]
) -> ControllerBank:
    """Decodes the mean code of each abstract subgoal where the gate opens.

    Args:
        meta: Makes the codes and the controllers.
        base: The base it was trained on.
        shown: Demonstrations that codes are taken from.
        names: Names of the abstract subgoals.

    Raises:
        UserError: No switch begins one of the subgoals.
    """
    trace = encode(meta, base, shown)
    means = class_means(
        trace.z[trace.switches], shown.require("subgoals")[trace.switches], len(names)
    )
    missing = [name for name, mean in zip(names, means, strict=True) if np.isnan(mean).any()]
    if missing:
        raise UserError(
            f"no switch of {len(shown)} demonstrations begins subgoal {missing[0]}, so no code "
            'stands for it; take more of them, or the source "controllers"'
        )
    codes = torch.from_numpy(means).float().to(meta.device)
    return ControllerBank(names, decoded(meta, codes))


@torch.no_grad()
def decoded(meta: CausalHalf, codes: Float[Tensor, "*lead latent"]) -> Controller:
    """Returns the controllers that codes stand for."""
    kind = FullController if isinstance(meta.decoder, LinearDecoder) else LowRankController
    return kind.from_latent(meta.decoder, codes, meta.hook_name)
