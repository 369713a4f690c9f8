"""How a model reads observations, and that it reads those of its own world only.

Every column of a sparse observation has its own range of numbers, and those of another world lie
in other ranges: read without a look at them, they would be other observations, not an error.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from irl_lens.envs.spaces import ObservationSpec
from irl_lens.errors import UserError


class ObservationEmbedding(nn.Module):
    """Sums one vector for each active entry of an observation.

    Args:
        spec: Columns of the observation.
        d_model: Width of the residual stream.
    """

    def __init__(self, spec: ObservationSpec, d_model: int) -> None:
        super().__init__()
        self.spec = spec
        first = torch.from_numpy(spec.offsets).int()
        self.first: Tensor
        self.end: Tensor
        self.register_buffer("first", first, persistent=False)
        self.register_buffer("end", first + torch.tensor(spec.sizes).int(), persistent=False)
        # Columns add up: this keeps the sum at unit variance.
        self.W_E = nn.Parameter(torch.randn(spec.size, d_model) / spec.columns**0.5)

    def forward(
        self, observation: Int[Tensor, "*batch columns"] | Float[Tensor, "*batch size"]
    ) -> Float[Tensor, "*batch d_model"]:
        """Embeds sparse (integer) or dense (float) observations; both give the same.

        Raises:
            UserError: An observation is not of the columns that the model was made for.
        """
        if observation.is_floating_point():
            self._check_width(observation, self.spec.size, "numbers")
            return observation.to(self.W_E.dtype) @ self.W_E
        self._check_width(observation, self.spec.columns, "columns")
        self._check_values(observation)
        flat = observation.reshape(-1, observation.shape[-1])
        return F.embedding_bag(flat, self.W_E, mode="sum").unflatten(0, observation.shape[:-1])

    def _check_width(self, observation: Tensor, width: int, what: str) -> None:
        if observation.shape[-1] != width:
            raise UserError(
                f"observations of {observation.shape[-1]} {what}, and the model reads {width}: "
                f"{self.spec.described()}; give it observations of the world it was made for"
            )

    def _check_values(self, observation: Tensor) -> None:
        if observation.is_meta:  # which has no values
            return
        outside = (observation < self.first) | (observation >= self.end)
        # Zeros are padding; but for the first column, no world has them.
        if outside.any() and (outside := outside & (observation != 0)).any():
            column = int(outside.flatten(0, -2).any(0).nonzero()[0])
            value = int(observation[..., column][outside[..., column]][0])
            first, last = int(self.first[column]), int(self.end[column]) - 1
            raise UserError(
                f"{value} in column {column} ({self.spec.names[column]}) of an observation, and "
                f"the model reads {first} to {last} there; give it observations of the world it "
                "was made for"
            )
