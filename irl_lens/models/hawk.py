"""One Hawk layer: a gated linear recurrence between two residual branches.

The recurrence is the real-gated linear recurrent unit (RG-LRU) of Griffin and Hawk
(De et al. 2024, arXiv 2402.19427, section 2.4), the block the paper's internal policy
is made of (arXiv 2512.20605, App. E):

    r_t = sigmoid(W_r x_t),   i_t = sigmoid(W_i x_t)
    log a_t = -8 softplus(Lambda) r_t
    h_t = a_t h_{t-1} + sqrt(1 - a_t^2) (i_t x_t)

Around it stand, as in Hawk, a causal depthwise convolution of width four, a GELU gate
branch, and a gated MLP; both halves are pre-norm residual. One code path serves single
steps and whole sequences, so a roll-out and its update cannot disagree.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

CONVOLUTION = 4
"""Width of the causal convolution; Hawk's own choice."""
DECAY_EXPONENT = 8.0
"""The constant c of the RG-LRU; Hawk's own choice."""


class RGLRU(nn.Module):
    """Real-gated linear recurrent unit over ``[rows, steps, width]``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gates = nn.Linear(width, 2 * width)
        # a^c uniform in [0.9, 0.999], as Hawk initialises it: softplus(Lambda) = -log(a).
        decay = -torch.empty(width).uniform_(0.9, 0.999).log() / DECAY_EXPONENT
        self.decay = nn.Parameter(decay.expm1().log())

    def forward(
        self, x: Float[Tensor, "rows steps width"], hidden: Float[Tensor, "rows width"]
    ) -> tuple[Float[Tensor, "rows steps width"], Float[Tensor, "rows width"]]:
        """Returns the hidden states of every step and the last one."""
        recurrence, gate = self.gates(x).sigmoid().chunk(2, dim=-1)
        log_a = -DECAY_EXPONENT * F.softplus(self.decay) * recurrence
        a = log_a.exp()
        drive = (-torch.expm1(2 * log_a)).sqrt() * gate * x
        states = []
        for t in range(x.shape[1]):
            hidden = a[:, t] * hidden + drive[:, t]
            states.append(hidden)
        return torch.stack(states, dim=1), hidden


class HawkLayer(nn.Module):
    """A whole Hawk layer; its state is one tensor ``[rows, 4, width]``.

    The first three slots of the state are the last inputs of the convolution, the
    fourth is the hidden state of the recurrence.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.norm = nn.RMSNorm(width)
        self.branches = nn.Linear(width, 2 * width)
        self.convolution = nn.Conv1d(width, width, CONVOLUTION, groups=width)
        self.recurrence = RGLRU(width)
        self.out = nn.Linear(width, width)
        self.mlp_norm = nn.RMSNorm(width)
        self.mlp_in = nn.Linear(width, 4 * width)
        self.mlp_out = nn.Linear(2 * width, width)

    def initial(self, rows: int) -> Float[Tensor, "rows slots width"]:
        """Returns the all-zero state before the first step."""
        return self.out.weight.new_zeros(rows, CONVOLUTION, self.width)

    def forward(
        self, x: Float[Tensor, "rows steps width"], state: Float[Tensor, "rows slots width"]
    ) -> tuple[Float[Tensor, "rows steps width"], Float[Tensor, "rows slots width"]]:
        """Advances by ``steps`` and returns the outputs and the state after them."""
        mixed, state = self._mix(self.norm(x), state)
        x = x + mixed
        gate, value = self.mlp_in(self.mlp_norm(x)).chunk(2, dim=-1)
        return x + self.mlp_out(F.gelu(gate) * value), state

    def _mix(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        gate, value = self.branches(x).chunk(2, dim=-1)
        window = torch.cat([state[:, :-1], value], dim=1)
        y, hidden = self.recurrence(self._convolved(window), state[:, -1])
        state = torch.cat([window[:, 1 - CONVOLUTION :], hidden[:, None]], dim=1)
        return self.out(F.gelu(gate) * y), state

    def _convolved(
        self, window: Float[Tensor, "rows before_and_steps width"]
    ) -> Float[Tensor, "rows steps width"]:
        # A sum of shifted products: PyTorch's grouped convolution takes several times as long.
        steps = window.shape[1] - CONVOLUTION + 1
        weights = self.convolution.weight[:, 0].unbind(dim=1)
        shifted = (window[:, k : k + steps] * weight for k, weight in enumerate(weights))
        return sum(shifted, start=self.convolution.bias)  # type: ignore[return-value]
