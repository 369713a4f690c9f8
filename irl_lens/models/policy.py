"""The internal policy: a recurrent Gaussian over codes, and the hook that acts with it.

    m_k          = Hawk(e_{t_1}, .., e_{t_k}),  t_k the k-th step at which the gate opens
    x_k          ~ N(W m_k + b, diag(exp(lambda))^2)
    z_k          = c + S x_k

One Hawk layer of width 256 fed only at switches, from random initialisation
(arXiv 2512.20605, App. E). The form of the Gaussian is not in the paper: here the mean
depends on the state and the log standard deviations lambda are free parameters. W starts next
to zero and c = 0, S = 1, so that an initial standard deviation of 1 is the codes' own prior;
with the mean c and covariance S S^T of the codes that discovery uses, S lower triangular, it is
the Gaussian closest to those, and a step of the optimiser is as large in every direction of the
code.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from irl_lens.models.acting import GatedActor
from irl_lens.models.causal import Gated
from irl_lens.models.decisions import DecisionSequences
from irl_lens.models.hawk import HawkLayer

MEAN_GAIN = 0.01
"""Scale of the mean's weights at initialisation, relative to PyTorch's default."""


class GaussianNetwork(nn.Module):
    """The trained part of the policy.

    Args:
        d_model: Width of the residual stream that is read.
        n_z: Size of a code.
        width: Width of the Hawk layer.
        initial_std: Standard deviation before training, in units of ``scale``.

    Attributes:
        centre: c, not trained.
        scale: S, not trained.
    """

    def __init__(self, d_model: int, n_z: int, width: int, initial_std: float) -> None:
        super().__init__()
        self.embed = nn.Linear(d_model, width)
        self.layer = HawkLayer(width)
        self.norm = nn.RMSNorm(width)
        self.mean = nn.Linear(width, n_z)
        self.log_std = nn.Parameter(torch.full((n_z,), math.log(initial_std)))
        self.centre = nn.Parameter(torch.zeros(n_z), requires_grad=False)
        self.scale = nn.Parameter(torch.eye(n_z), requires_grad=False)
        with torch.no_grad():
            self.mean.weight.mul_(MEAN_GAIN)
            self.mean.bias.zero_()

    def forward(
        self,
        residuals: Float[Tensor, "rows decisions d_model"],
        state: Float[Tensor, "rows slots width"],
    ) -> tuple[Float[Tensor, "rows decisions latent"], Float[Tensor, "rows slots width"]]:
        """Returns the means of x for consecutive decisions and the state after them."""
        x = self.embed(F.layer_norm(residuals, residuals.shape[-1:]))
        x, state = self.layer(x, state)
        return self.mean(self.norm(x)), state

    def codes(
        self, mean: Float[Tensor, "*batch latent"], noise: Float[Tensor, "*batch latent"]
    ) -> Float[Tensor, "*batch latent"]:
        """Codes for means and standard normal noise."""
        return self.centre + (mean + self.log_std.exp() * noise) @ self.scale.T

    @torch.no_grad()
    def narrow(self, std: float) -> None:
        """Makes no standard deviation larger than this."""
        self.log_std.clamp_(max=math.log(std))

    def log_prob(
        self, codes: Float[Tensor, "*batch latent"], mean: Float[Tensor, "*batch latent"]
    ) -> Float[Tensor, "*batch"]:
        """Log-density of codes, in nats."""
        centred = (codes - self.centre).flatten(0, -2).T
        x = torch.linalg.solve_triangular(self.scale, centred, upper=False).T.view_as(codes)
        scaled = (x - mean) / self.log_std.exp()
        return (-0.5 * scaled.square() - 0.5 * math.log(2 * math.pi)).sum(dim=-1) - self._volume()

    def entropy(self) -> Float[Tensor, ""]:
        """Entropy of one decision, in nats; the same in every state."""
        return self._volume() + 0.5 * (1 + math.log(2 * math.pi)) * len(self.centre)

    def score(self, sequences: DecisionSequences) -> tuple[Tensor, Tensor]:
        """Scores recorded decisions again: log-probabilities and entropies, differentiably."""
        mean, _ = self(sequences.residuals, self.layer.initial(len(sequences.rows)))
        log_prob = self.log_prob(sequences.codes, mean)
        return log_prob, self.entropy().expand_as(log_prob)

    def _volume(self) -> Float[Tensor, ""]:
        """Log of how much larger a unit of noise is among codes."""
        return self.log_std.sum() + self.scale.diagonal().log().sum()


class LatentPolicy(GatedActor):
    """Acts through the residual stream with codes drawn from a :class:`GaussianNetwork`.

    Args:
        network: The trained part; fed only when the gate opens.
        meta: The frozen metacontroller, see :class:`irl_lens.models.acting.GatedActor`.
        drawn: Draw codes, as in training; else take the mean, c + S W m_k, which is also the
            likeliest code.
    """

    def __init__(self, network: GaussianNetwork, meta: Gated, drawn: bool = True) -> None:
        super().__init__(meta)
        self.network, self.drawn = network, drawn

    def by_mean(self) -> LatentPolicy:
        """Returns a player of the same weights that takes the mean codes."""
        return LatentPolicy(self.network, self.meta, drawn=False)

    def begin(self, rows: int) -> None:
        """Forgets everything and starts ``rows`` episodes."""
        super().begin(rows)
        self._memory = self.network.layer.initial(rows)

    def keep(self, index: Int[Tensor, " kept"]) -> None:
        """Drops all rows but ``index``, in that order."""
        super().keep(index)
        self._memory = self._memory[index]

    def decide(
        self, index: Tensor, residual: Tensor, noise: Tensor
    ) -> tuple[Float[Tensor, "switching latent"], Float[Tensor, " switching"]]:
        """Chooses codes and advances the recurrent state of the rows that switch."""
        mean, state = self.network(residual[:, None], self._memory[index])
        self._memory = self._memory.index_copy(0, index, state)
        codes = self.network.codes(mean[:, 0], noise if self.drawn else torch.zeros_like(noise))
        return codes, self.network.log_prob(codes, mean[:, 0])
