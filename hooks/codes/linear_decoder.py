"""A controller decoder that is linear in the code, with a full matrix for each of its numbers.

    U(z) = sum_k z_k M_k,   e <- e + U(z) e

In place of the paper's hypernetwork to rank 16 (arXiv 2512.20605, section D). Of a low-rank U,
what is read and what is written have to be right at once: training starts on a saddle. Here
M is the only factor and starts at zero, so that an untrained decoder does nothing, the zero
code never does, and the first gradient already points somewhere. It costs n_z d_model^2
parameters, and d_model is not to be large.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from irl_lens.hooks.codes.decoder import Decoder


class LinearDecoder(Decoder):
    """Decodes codes into full controllers.

    Args:
        n_z: width of the code.
        d_model: width of the stream.

    Examples:
        >>> decoder = LinearDecoder(n_z=8, d_model=64)
        >>> decoder(torch.randn(3, 5, 8)).shape
        torch.Size([3, 5, 64, 64])
    """

    def __init__(self, n_z: int, d_model: int) -> None:
        super().__init__(n_z, d_model)
        self.matrices = nn.Parameter(torch.zeros(d_model, n_z, d_model))

    def forward(self, z: Float[Tensor, "*lead n_z"]) -> Float[Tensor, "*lead d_model d_model"]:
        """Returns the matrices U of the codes' controllers.

        Raises:
            ValueError: codes of another width.

        Examples:
            >>> LinearDecoder(8, d_model=64)(torch.zeros(8)).shape
            torch.Size([64, 64])
        """
        return torch.einsum("...k,dkf->...fd", self.checked(z).to(self.matrices), self.matrices)

    def delta(
        self, z: Float[Tensor, "*batch n_z"], e: Float[Tensor, "*batch d_model"]
    ) -> Float[Tensor, "*batch d_model"]:
        """Returns U(z) e, without forming the matrix of each position.

        Raises:
            ValueError: codes of another width.

        Examples:
            >>> decoder = LinearDecoder(8, d_model=64)
            >>> decoder.matrices.data.normal_().shape
            torch.Size([64, 8, 64])
            >>> z, e = torch.randn(8), torch.randn(64)
            >>> torch.allclose(decoder.delta(z, e), decoder(z) @ e, atol=1e-3)
            True
        """
        parts = (e @ self.matrices.to(e).flatten(1)).unflatten(-1, (self.n_z, self.d_model))
        return torch.einsum("...kd,...k->...d", parts, self.checked(z).to(parts))

    def config(self) -> dict[str, Any]:
        return {"n_z": self.n_z, "d_model": self.d_model}
