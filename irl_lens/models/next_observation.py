"""What a base predicts of the next observation, and how wrong it is.

    L = - sum over predicted categorical columns of ln p(o_{t+1} | o_1..t)
        + sum over predicted real columns of (x_{t+1} / s - prediction)^2 / 2

The second is the NLL of a Gaussian of unit variance, its constant left out; s is the column's
scale. (arXiv 2512.20605, App. B.)
"""

from __future__ import annotations

from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from irl_lens.envs.spaces import ObservationSpec


class NextObservation(nn.Linear):
    """A linear map of the stream to logits of the predicted columns, and then to real numbers.

    Args:
        spec: Columns of the observation.
        d_model: Width of the residual stream.
    """

    def __init__(self, spec: ObservationSpec, d_model: int) -> None:
        sizes = [spec.sizes[column] for column in spec.predicted]
        reals = [i for i, real in enumerate(spec.reals) if real.predicted]
        super().__init__(d_model, sum(sizes) + len(reals))
        self.spec, self.sizes, self.reals = spec, sizes, reals

    def reset_parameters(self) -> None:
        """Draws the weights; there may be none."""
        if self.out_features:
            super().reset_parameters()

    def nll(
        self,
        predicted: Float[Tensor, "pairs outputs"],
        following: Shaped[Tensor, "pairs columns"],
    ) -> Float[Tensor, " pairs"]:
        """-ln p(next observation) [nats], without constants.

        Args:
            predicted: Outputs of this map.
            following: The sparse observations that came next.
        """
        total = predicted.new_zeros(len(predicted))
        *logits, numbers = predicted.split([*self.sizes, len(self.reals)], dim=1)
        for column, x in zip(self.spec.predicted, logits, strict=True):
            value = following[:, column].long() - int(self.spec.offsets[column])
            total = total + F.cross_entropy(x, value, reduction="none")
        if not self.reals:
            return total
        wanted = following[:, len(self.spec.sizes) :] / following.new_tensor(self.spec.scales)
        return total + 0.5 * (numbers - wanted[:, self.reals]).square().sum(dim=1)
