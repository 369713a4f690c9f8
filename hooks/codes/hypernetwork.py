"""The controller decoder: a hypernetwork from a code z to a low-rank controller.

    h = relu(W z + b),   A = W_A h + b_A,   B = W_B h + b_B,   e <- e + B^T (A e)

The paper's f_hyp (arXiv 2512.20605, section D, Table A9: n_z 8, hidden 32, rank 16). It
gives no initialisation. Here, for z ~ N(0, I), W ~ N(0, 2 / n_z) makes h of unit mean
square, and the heads make A ~ N(0, 1/d) and B ~ N(0, init^2 / r), so that |U e| is about
`init` times |e| (see :meth:`~irl_lens.hooks.LowRankController.random`). Biases start at
zero and train, so the zero code is the identity at first and need not stay so: a sequence's
first step always switches, so that z_0 = 0 never controls anything.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from irl_lens.hooks.codes.decoder import Decoder
from irl_lens.hooks.combinators.arithmetic import Additive
from irl_lens.hooks.core.address import Axes, check_width, spread


class HypernetworkDecoder(Decoder):
    """Decodes codes into low-rank controllers.

    Args:
        n_z: width of the code.
        hidden: width of the hidden layer.
        d_model: width of the stream.
        rank: rank of the controllers.
        init: |U e| relative to |e| at initialisation, for a standard normal code.
        generator: draws the initial weights.

    Examples:
        >>> decoder = HypernetworkDecoder(n_z=8, hidden=32, d_model=64, rank=16)
        >>> A, B = decoder(torch.randn(3, 5, 8))
        >>> A.shape
        torch.Size([3, 5, 16, 64])
    """

    def __init__(
        self,
        n_z: int,
        hidden: int,
        d_model: int,
        rank: int,
        init: float = 0.2,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(n_z, d_model)
        self.rank, self.init = rank, init
        self.hidden = nn.Linear(n_z, hidden)
        self.read = nn.Linear(hidden, rank * d_model)
        self.write = nn.Linear(hidden, rank * d_model)
        scales = ((2 / n_z) ** 0.5, (hidden * d_model) ** -0.5, init * (hidden * rank) ** -0.5)
        for layer, std in zip((self.hidden, self.read, self.write), scales, strict=True):
            nn.init.normal_(layer.weight, std=std, generator=generator)
            nn.init.zeros_(layer.bias)

    def forward(
        self, z: Float[Tensor, "*lead n_z"]
    ) -> tuple[Float[Tensor, "*lead rank d_model"], Float[Tensor, "*lead rank d_model"]]:
        """Returns the factors A and B of the codes' controllers.

        Examples:
            >>> A, B = HypernetworkDecoder(8, 32, d_model=64, rank=16)(torch.zeros(8))
            >>> A.shape == B.shape == (16, 64)
            True
        """
        h = self._features(z)
        shape = (*z.shape[:-1], self.rank, self.d_model)
        return self.read(h).reshape(shape), self.write(h).reshape(shape)

    def delta(
        self, z: Float[Tensor, "*batch n_z"], e: Float[Tensor, "*batch d_model"]
    ) -> Float[Tensor, "*batch d_model"]:
        """Returns U(z) e, without forming the factors of each position.

        Both factors are linear in h1 = [h, 1]: A e = sum_k h1_k (W_A,k e), likewise for B.
        So the largest array is [.., rank, hidden + 1] in place of [.., rank, d_model].

        Examples:
            >>> decoder = HypernetworkDecoder(8, 32, d_model=64, rank=16)
            >>> z, e = torch.randn(8), torch.randn(64)
            >>> A, B = decoder(z)
            >>> torch.allclose(decoder.delta(z, e), B.mT @ (A @ e), atol=1e-5)
            True
        """
        h1 = nn.functional.pad(self._features(z), (0, 1), value=1.0).to(e)
        per_feature = torch.einsum("rdk,...d->...rk", self._stacked(self.read).to(e), e)
        coordinates = torch.einsum("...rk,...k->...r", per_feature, h1)
        outer = coordinates.unsqueeze(-1) * h1.unsqueeze(-2)
        return torch.einsum("rdk,...rk->...d", self._stacked(self.write).to(e), outer)

    def _features(self, z: Tensor) -> Tensor:
        return torch.relu(self.hidden(self.checked(z).to(self.hidden.weight)))

    def _stacked(self, head: nn.Linear) -> Float[Tensor, "rank d_model features"]:
        """Returns a head's weights with its bias as one more feature's."""
        weights = torch.cat([head.weight, head.bias.unsqueeze(-1)], dim=-1)
        return weights.reshape(self.rank, self.d_model, -1)

    def config(self) -> dict[str, Any]:
        sizes = {"n_z": self.n_z, "hidden": self.hidden.out_features, "d_model": self.d_model}
        return {**sizes, "rank": self.rank, "init": self.init}


class CodeController(Additive):
    """The decoded controller of each row's and step's code: e_t <- e_t + U(z_t) e_t.

    Args:
        decoder: decodes the codes; its gradients flow, and those of the codes.
        z: one code a position. One row stands for all rows.
        hook_name: hook point at which it acts.

    Raises:
        ValueError: z has other axes; when run, at rows, steps or a width that differ.

    Examples:
        >>> decoder = HypernetworkDecoder(n_z=8, hidden=32, d_model=64, rank=16)
        >>> controller = CodeController(decoder, torch.randn(3, 5, 8), "hook")
        >>> controller(torch.zeros(3, 5, 64)).any().item()
        False
    """

    z: Tensor

    def __init__(
        self,
        decoder: Decoder,
        z: Float[Tensor, "*_"],
        hook_name: str,
    ) -> None:
        super().__init__(hook_name)
        if z.ndim != 3:
            raise ValueError(f"z is {tuple(z.shape)}; it must be [rows, steps, n_z]")
        self.decoder = decoder
        self.hold("z", z)

    def delta(self, x: Shaped[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        check_width(x, self.decoder.d_model, "decoder", self.hook_name)
        step = Axes.of(self.hook_name).step
        codes = self.window(spread(self.z, x[..., 0], (0, step)), x, step)
        return self.decoder.delta(codes.expand(*x.shape[:-1], -1), x)
