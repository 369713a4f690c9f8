"""How a model reads observations, and that it reads those of its own world only.

    e = sum over categorical columns k of W_E[i_k]  +  sum over real columns j of (x_j / s_j) W_E[j]
        + b_E                       b_E where there are real columns: without it, the first norm
                                    would take from a single real number all but its sign

Every categorical column of a sparse observation has its own range of numbers, and those of
another world lie in other ranges: read without a look at them, they would be other observations,
not an error. Real numbers may be any but must be finite.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from irl_lens.envs.protocol import Observed
from irl_lens.envs.spaces import ActionSpec, ObservationSpec
from irl_lens.errors import UserError

OWN_WORLD = "give it observations of the world it was made for"


def check_fits(world: Observed, spec: ObservationSpec, actions: ActionSpec) -> None:
    """Checks that a model was made for the observations and actions of a world.

    Args:
        world: A world, or rows of one to act on.
        spec: The observations that the model was made for.
        actions: The actions.

    Raises:
        UserError: If it was not; names both.
    """
    if (world.observation, world.actions) != (spec, actions):
        raise UserError(
            f"the world shows columns {world.observation.described()} and has "
            f"{world.actions.described()}, and the model was made for columns "
            f"{spec.described()} and {actions.described()}; take the world of the "
            "model's own run"
        )


class ObservationEmbedding(nn.Module):
    """Sums one vector for each active entry of an observation, and one for each real number.

    Args:
        spec: Columns of the observation.
        d_model: Width of the residual stream.
    """

    b_E: nn.Parameter | None

    def __init__(self, spec: ObservationSpec, d_model: int) -> None:
        super().__init__()
        self.spec = spec
        first = torch.from_numpy(spec.offsets).int()
        self.first: Tensor
        self.end: Tensor
        self.scales: Tensor
        self.register_buffer("first", first, persistent=False)
        self.register_buffer("end", first + torch.tensor(spec.sizes).int(), persistent=False)
        self.register_buffer("scales", torch.from_numpy(spec.scales), persistent=False)
        # Columns, and the bias, add up: this keeps the sum at unit variance.
        terms = spec.columns + bool(spec.reals)
        self.W_E = nn.Parameter(torch.randn(spec.size, d_model) / terms**0.5)
        bias = nn.Parameter(torch.randn(d_model) / terms**0.5) if spec.reals else None
        self.register_parameter("b_E", bias)

    def forward(
        self, observation: Shaped[Tensor, "*batch columns"] | Float[Tensor, "*batch size"]
    ) -> Float[Tensor, "*batch d_model"]:
        """Embeds sparse or dense observations; both give the same.

        Integers are sparse. So are floats where there are real columns, if they are as many as
        the columns; else they are dense (:meth:`irl_lens.envs.spaces.ObservationSpec.dense`).

        Raises:
            UserError: An observation is not of the columns that the model was made for, or not
                finite.
        """
        width = observation.shape[-1]
        if not observation.is_floating_point():
            self._check_width(observation, self.spec.columns, "columns")
            return self._sparse(observation, None)
        if self.spec.reals and width == self.spec.columns:
            indices, reals = observation.split([len(self.first), len(self.scales)], dim=-1)
            return self._sparse(indices, reals / self.scales)
        self._check_width(observation, self.spec.size, "numbers")
        return self._biased(observation.to(self.W_E.dtype) @ self.W_E)

    def _sparse(
        self,
        indices: Shaped[Tensor, "*batch categorical"],
        reals: Float[Tensor, "*batch reals"] | None,
    ) -> Float[Tensor, "*batch d_model"]:
        self._check_values(indices)
        if reals is None:
            return self._active(indices)
        self._check_finite(reals)
        weights = self.W_E[len(self.W_E) - len(self.scales) :]
        read = reals.to(weights.dtype) @ weights
        return self._biased(read + self._active(indices.int()) if len(self.first) else read)

    def _active(self, indices: Int[Tensor, "*batch categorical"]) -> Tensor:
        flat = indices.reshape(-1, indices.shape[-1])
        return F.embedding_bag(flat, self.W_E, mode="sum").unflatten(0, indices.shape[:-1])

    def _biased(self, read: Tensor) -> Tensor:
        return read if self.b_E is None else read + self.b_E

    def _check_width(self, observation: Tensor, width: int, what: str) -> None:
        if observation.shape[-1] != width:
            raise UserError(
                f"observations of {observation.shape[-1]} {what}, and the model reads {width}: "
                f"{self.spec.described()}; {OWN_WORLD}"
            )

    def _check_values(self, indices: Tensor) -> None:
        if indices.is_meta:  # which has no values
            return
        outside = (indices < self.first) | (indices >= self.end)
        if indices.is_floating_point():
            outside |= indices != indices.floor()
        # Zeros are padding; but for the first column, no world has them.
        if outside.any() and (outside := outside & (indices != 0)).any():
            column = int(outside.flatten(0, -2).any(0).nonzero()[0])
            value = indices[..., column][outside[..., column]][0].item()
            first, last = int(self.first[column]), int(self.end[column]) - 1
            raise UserError(
                f"{value} in column {column} ({self.spec.names[column]}) of an observation, and "
                f"the model reads {first} to {last} there; {OWN_WORLD}"
            )

    def _check_finite(self, reals: Tensor) -> None:
        if not reals.is_meta and not (finite := reals.isfinite()).all():
            column = int((~finite).flatten(0, -2).any(0).nonzero()[0])
            value = reals[..., column][~finite[..., column]][0].item()
            raise UserError(
                f"{value} in column {len(self.first) + column} ({self.spec.reals[column].name}) of "
                f"an observation, and the model reads finite numbers there; {OWN_WORLD}"
            )
