"""What roll-outs ask of a model that chooses actions step by step.

A base does, through its fast path (:mod:`irl_lens.models.fast`), and so does a policy without
memory (:mod:`irl_lens.models.compile.sub_policy`).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Int
from torch import Tensor

from irl_lens.arrays import NDArray
from irl_lens.models.heads.action_head import ActionHead


@runtime_checkable
class Carried(Protocol):
    """What is carried along from step to step."""

    length: int

    def keep(self, index: Int[Tensor, " rows"]) -> None:
        """Keeps the rows ``index`` selects and drops the others."""
        ...


@runtime_checkable
class Played(Protocol):
    """A model as roll-outs play it.

    Attributes:
        model: The module that interventions are attached to; its ``check_fits`` refuses a world
            that it was not made for.
    """

    model: Any

    @property
    def action_head(self) -> ActionHead:
        """What the outputs mean."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        ...

    def twin(self) -> Played:
        """Returns another on the same weights, with hook points of its own, for another thread."""
        ...

    def tensor(self, array: NDArray[Any]) -> Tensor:
        """Returns an array as a tensor beside the weights."""
        ...

    def cache(self, rows: int, steps: int) -> Any:
        """Returns what is carried along in episodes of at most ``steps`` steps: a `Carried`."""
        ...

    def held(self) -> AbstractContextManager[None]:
        """Within it the weights do not change, and may be kept in another form."""
        ...

    def logits(self, observation: Any, *, cache: Any) -> Tensor:
        """Returns what the action head reads at the next steps, ``[rows, steps, outputs]``."""
        ...
