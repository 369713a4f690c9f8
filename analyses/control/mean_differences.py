"""Vectors that are added for a label, not trained: where the stream is with it, less without.

    v_g = k (mean(e | g) - mean(e | not g))

over the steps of demonstrations; k is the one of a few multiples with which those
demonstrations are likeliest. The same k serves all labels.
"""

from __future__ import annotations

import torch
from jaxtyping import Float

from irl_lens.analyses.control.by_layer import steered_nll
from irl_lens.analyses.core.demonstrations import pieces
from irl_lens.analyses.core.labels import by_token
from irl_lens.analyses.core.linear_probe import layer_streams
from irl_lens.analyses.core.loaded_run import LoadedRun
from irl_lens.envs.trajectories import Trajectories
from irl_lens.hooks import ControllerBank, VectorController
from irl_lens.models.base import hook_name
from irl_lens.models.fast import FastPath

LENGTHS = (0.5, 1.0, 2.0, 4.0)
"""Multiples that are tried."""
SHOWN = 256
"""Most demonstrations that means are taken over."""


def mean_differences(loaded: LoadedRun, label: str, layer: int) -> ControllerBank:
    """Vectors from the mean stream of all other labels to that of each label.

    Args:
        loaded: The run's parts.
        label: ``"subgoal"`` or ``"visit"``.
        layer: Where the stream is taken and they are added.

    Raises:
        ValueError: A label that no demonstration shows.
    """
    names = {"subgoal": loaded.world.subgoal_names, "visit": loaded.world.visit_names}[label]
    shown, at = loaded.fit.rows(slice(SHOWN)), hook_name(layer)
    labels = loaded.base.tensor(by_token(shown, label))[None]
    cache = {at: _stream(loaded.base, shown, layer)[None]}
    vectors = {
        name: VectorController.from_difference(
            cache, cache, at, valid_a=labels == g, valid_b=labels != g
        )
        for g, name in enumerate(names)
    }
    stack = ControllerBank(vectors).stack
    assert isinstance(stack, VectorController)
    lengths = [ControllerBank(names, VectorController(k * stack.v, at)) for k in LENGTHS]
    return min(lengths, key=lambda b: steered_nll(loaded.base, b, label, shown)[shown.mask].mean())


def _stream(
    base: FastPath, shown: Trajectories, layer: int
) -> Float[torch.Tensor, "tokens d_model"]:
    """The stream of every valid step at one layer, in the order of ``by_token``."""
    found = [(layer_streams(base, p, (layer,))[0], p.mask) for _, p in pieces(shown)]
    return torch.cat([stream[base.tensor(mask)] for stream, mask in found])
