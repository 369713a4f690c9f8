"""Named controllers of one kind, and the intervention that switches between them.

    e_t <- e_t + U^(g_t) e_t,   g_t the label of row and step, -1 for no control

The paper's supervised controllers (arXiv 2512.20605, App. C.2): one U per abstract
subgoal, the true one active at each step.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .controller import Controller
from .full import FullController
from .intervention import Intervention
from .low_rank import LowRankController
from .part import Part
from .vector import VectorController


class ControllerBank(Part):
    """Controllers by name, stacked along one leading axis so that they train together.

    Args:
        names: one a controller, all different.
        stack: the controllers, leading axes (n,).

    Raises:
        ValueError: the names are not as many as the controllers, or repeat.
    """

    def __init__(self, names: Iterable[str], stack: Controller) -> None:
        super().__init__()
        self.names = tuple(names)
        self.stack = stack
        if stack.lead != (len(self.names),) or len(set(self.names)) != len(self.names):
            raise ValueError(
                f"names {self.names} for controllers stacked {stack.lead}; give one name "
                "to each controller of a single leading axis, all different"
            )

    @classmethod
    def low_rank(
        cls,
        names: Iterable[str],
        d_model: int,
        rank: int,
        hook_name: str,
        init: float = 0.1,
        *,
        generator: torch.Generator | None = None,
    ) -> Self:
        """Returns trainable low-rank controllers; `init` is |U e| relative to |e|."""
        names = tuple(names)
        lead = (len(names),)
        stack = LowRankController.random(
            d_model, rank, hook_name, init, lead=lead, generator=generator
        )
        return cls(names, stack)

    @classmethod
    def full(
        cls,
        names: Iterable[str],
        d_model: int,
        hook_name: str,
        init: float = 0.1,
        *,
        generator: torch.Generator | None = None,
    ) -> Self:
        """Returns trainable full controllers; `init` is |U e| relative to |e|."""
        names = tuple(names)
        lead = (len(names),)
        stack = FullController.random(d_model, hook_name, init, lead=lead, generator=generator)
        return cls(names, stack)

    @classmethod
    def vector(cls, names: Iterable[str], d_model: int, hook_name: str) -> Self:
        """Returns trainable zero vectors."""
        names = tuple(names)
        return cls(names, VectorController.zeros(d_model, hook_name, lead=(len(names),)))

    @property
    def hook_name(self) -> str:
        """Where the controllers act."""
        return self.stack.hook_name

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Returns the label of a controller.

        Raises:
            ValueError: the bank has no such controller.
        """
        if name not in self.names:
            raise ValueError(f"no controller is called {name!r}; there are {self.names}")
        return self.names.index(name)

    def __getitem__(self, name: str) -> Controller:
        """Returns one controller, the same at every position, gradients connected."""
        return self.stack.at(self.index(name))

    def select(self, labels: Int[Tensor, "*lead"]) -> Controller:
        """Returns a batched controller: the one labelled, the zero controller where -1.

        This gathers one controller's tensors per label, [rows, steps, rank, d_model]:
        :meth:`labelled` does the same to the stream without.

        Raises:
            ValueError: a label below -1 or beyond the bank.
        """
        self.check_labels(labels)
        return self.stack.at(labels.clamp(min=0), keep=labels >= 0)

    def labelled(self, labels: Int[Tensor, "rows steps"]) -> BankController:
        """Returns the intervention that applies the labelled controller at each position."""
        return BankController(self, labels)

    def check_labels(self, labels: Tensor) -> None:
        """Raises ValueError unless every label is -1 or that of a controller."""
        if labels.numel() and not -1 <= int(labels.min()) <= int(labels.max()) < len(self):
            raise ValueError(
                f"labels span {int(labels.min())}..{int(labels.max())}; a bank of {len(self)} "
                f"has the labels 0..{len(self) - 1}, and -1 for no control"
            )

    def config(self) -> dict[str, Any]:
        return {"names": list(self.names)}


class BankController(Intervention):
    """The labelled controller of a bank at each row and step; nothing at all where -1.

    Every controller is applied to every position and the labelled one kept. With a handful
    of controllers that costs two dense products and [rows, steps, n, rank] memory, far
    less than gathering factors.

    Args:
        bank: the controllers; their gradients flow.
        labels: which, 0..n-1, -1 for none. One row stands for all rows.

    Raises:
        ValueError: a label below -1 or beyond the bank.
    """

    labels: Tensor

    def __init__(self, bank: ControllerBank, labels: Int[Tensor, "rows steps"]) -> None:
        super().__init__(bank.hook_name)
        bank.check_labels(labels)
        self.bank = bank
        self.hold("labels", labels)

    def _windowed_labels(self, x: Tensor) -> Tensor:
        self.bank.stack.check_width(x)
        return self.window(self.labels, x).long().expand(x.shape[:2])

    def delta(self, x: Float[Tensor, "rows steps d_model"]) -> Float[Tensor, "rows steps d_model"]:
        numbers = torch.arange(len(self.bank), device=x.device)
        weights = self._windowed_labels(x).unsqueeze(-1) == numbers
        return self.bank.stack.mixture(x, weights.to(x.dtype))

    def forward(
        self, x: Float[Tensor, "rows steps d_model"]
    ) -> Float[Tensor, "rows steps d_model"]:
        addressed = self._windowed_labels(x).unsqueeze(-1) >= 0
        return torch.where(addressed, x + self.delta(x).to(x.dtype), x)

    def config(self) -> dict[str, Any]:
        return {}
