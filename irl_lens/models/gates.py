"""A causal gate on its own: no code, no decoder.

    p_t = f(e_t, h_{t-1}),   h_t = GRU(e_t, h_{t-1}),   e normalised

f is a perceptron with a hidden layer. It sees what the gate of a metacontroller sees
(:mod:`irl_lens.models.segments`), and is taught what to expect (:mod:`irl_lens.training.surprise`).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from irl_lens.config.schema import SwitchesConfig
from irl_lens.models.causal import ResidualStream, normalised, states_before
from irl_lens.models.recurrence import GRU


class CausalGate(nn.Module):
    """How likely a switch is at each step.

    Args:
        config: Sizes, and the layer that is read.
        d_model: Width of the base's residual stream.
    """

    def __init__(self, config: SwitchesConfig, d_model: int) -> None:
        super().__init__()
        self.layer, self.history = config.layer, GRU(d_model, config.history)
        self.switch = nn.Sequential(
            nn.Linear(d_model + config.history, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, 1),
        )

    def forward(self, stream: ResidualStream) -> Float[Tensor, "batch steps"]:
        """ln p_t / (1 - p_t) at every step."""
        e = normalised(stream.transpose(0, 1).contiguous())
        read = torch.cat([e, states_before(self.history, e)], dim=-1)
        return self.switch(read).squeeze(-1).T
