"""The intervention that switches between the controllers of a bank.

    e_t <- e_t + U^(g_t) e_t,   g_t the label of row and step, -1 for no control

With the true subgoals for labels: the paper's supervised control (arXiv 2512.20605, App. C.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from irl_lens.hooks.combinators.arithmetic import Additive
from irl_lens.hooks.core.address import Axes, spread

if TYPE_CHECKING:
    from irl_lens.hooks.controllers.bank import ControllerBank


class BankController(Additive):
    """The labelled controller of a bank at each row and step; nothing at all where -1.

    Every controller is applied to every position and the labelled one kept. With a handful
    of controllers that costs two dense products and [rows, steps, n, rank] memory, far
    less than gathering factors.

    Args:
        bank: the controllers; their gradients flow.
        labels: which, 0..n-1, -1 for none. One row stands for all rows.

    Raises:
        ValueError: labels that are not [rows, steps], below -1 or beyond the bank.

    Examples:
        >>> from irl_lens.hooks import ControllerBank
        >>> bank = ControllerBank.low_rank("ab", d_model=8, rank=2, hook_name="hook")
        >>> x = torch.randn(1, 3, 8)
        >>> y = BankController(bank, torch.tensor([[0, -1, 1]]))(x)
        >>> (y != x).any(-1).tolist()
        [[True, False, True]]
    """

    labels: Tensor

    def __init__(self, bank: ControllerBank, labels: Shaped[Tensor, "*_"]) -> None:
        super().__init__(bank.hook_name)
        bank.check_labels(labels)
        if labels.ndim != 2:
            raise ValueError(f"labels are {tuple(labels.shape)}; they must be [rows, steps]")
        self.bank = bank
        self.hold("labels", labels)

    def _windowed_labels(self, x: Tensor) -> Tensor:
        self.bank.stack.check_width(x)
        step = Axes.of(self.hook_name).step
        labels = self.window(spread(self.labels, x[..., 0], (0, step)), x, step)
        return labels.long().expand(x.shape[:-1])

    def delta(self, x: Shaped[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        numbers = torch.arange(len(self.bank), device=x.device)
        weights = self._windowed_labels(x).unsqueeze(-1) == numbers
        return self.bank.stack.mixture(x, weights.to(x.dtype))

    def forward(self, x: Shaped[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        addressed = self._windowed_labels(x).unsqueeze(-1) >= 0
        return torch.where(addressed, x + self.delta(x).to(x.dtype), x)

    def config(self) -> dict[str, Any]:
        return {}
