"""Full linear controllers: e <- e + U e.

The paper's ant controllers (arXiv 2512.20605, Tables A8 and A10).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from irl_lens.hooks.codes.decoder import Decoder
from irl_lens.hooks.codes.linear_decoder import LinearDecoder
from irl_lens.hooks.controllers.controller import Controller
from irl_lens.hooks.controllers.regression import regressed

if TYPE_CHECKING:
    from transformer_lens import ActivationCache


class FullController(Controller, kind="full"):
    """e <- e + U e.

    Args:
        U: a square matrix, acting on column vectors, [.., d_model, d_model].
        hook_name: hook point at which it acts.

    Raises:
        ValueError: U is not square.

    Examples:
        >>> U = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
        >>> FullController(U, "hook")(torch.tensor([[[3.0, 5.0]]])).tolist()
        [[[8.0, 5.0]]]
    """

    U: Tensor

    def __init__(self, U: Float[Tensor, "*_"], hook_name: str) -> None:
        super().__init__(hook_name)
        if U.ndim < 2 or U.shape[-1] != U.shape[-2]:
            raise ValueError(f"U is {tuple(U.shape)}; it must be [.., d_model, d_model]")
        self.hold("U", U)

    @classmethod
    def random(
        cls,
        d_model: int,
        hook_name: str,
        init: float = 0.1,
        *,
        lead: tuple[int, ...] = (),
        generator: torch.Generator | None = None,
    ) -> Self:
        """Returns trainable controllers with |U e| about `init` times |e|: U ~ N(0, init^2/d).

        Examples:
            >>> FullController.random(8, "hook", lead=(3,)).U.shape
            torch.Size([3, 8, 8])
        """
        U = torch.randn(*lead, d_model, d_model, generator=generator) * init * d_model**-0.5
        return cls(nn.Parameter(U), hook_name)

    @classmethod
    def trainable(
        cls,
        d_model: int,
        hook_name: str,
        *,
        rank: int = 16,
        init: float = 0.1,
        lead: tuple[int, ...] = (),
        generator: torch.Generator | None = None,
    ) -> Self:
        return cls.random(d_model, hook_name, init, lead=lead, generator=generator)

    @classmethod
    def title(cls, rank: int) -> str:
        return "full matrix"

    @classmethod
    def from_latent(cls, decoder: Decoder, z: Float[Tensor, "*lead n_z"], hook_name: str) -> Self:
        """Returns the controllers that codes stand for, leading axes as those of `z`.

        Gradients reach codes and decoder. To apply one code a step without forming its
        matrix: :class:`~irl_lens.hooks.CodeController`.

        Args:
            decoder: a linear one, which makes a matrix of each code.
            z: the codes.
            hook_name: hook point at which they act.

        Raises:
            ValueError: another decoder; codes that are not as wide as it takes.

        Examples:
            >>> from irl_lens.hooks import LinearDecoder
            >>> FullController.from_latent(LinearDecoder(8, 64), torch.randn(3, 8), "hook").U.shape
            torch.Size([3, 64, 64])
        """
        if not isinstance(decoder, LinearDecoder):
            raise ValueError(
                f"a {type(decoder).__name__} makes no matrices U; give a LinearDecoder, or use "
                "LowRankController.from_latent"
            )
        return cls(decoder(z), hook_name)

    @classmethod
    def from_supervised(
        cls,
        cache_a: ActivationCache | Mapping[str, Tensor],
        cache_b: ActivationCache | Mapping[str, Tensor],
        hook_name: str,
        *,
        valid: Bool[Tensor, "rows steps"] | None = None,
        ridge: float = 1e-3,
    ) -> Self:
        """Returns the controller that best takes each activation of `b` to that of `a`.

        As :meth:`~irl_lens.hooks.LowRankController.from_supervised`, of any rank.

        Args:
            cache_a: activations to move to, at the rows and steps of `b`.
            cache_b: activations to move.
            hook_name: hook point that they are from and the controller acts at.
            valid: which rows and steps count, all if None.
            ridge: how much U is held back, relative to the activations' mean square; 0 not
                at all.

        Raises:
            ValueError: caches that do not pair up, a negative ridge.

        Examples:
            >>> b = torch.randn(10, 5, 2)
            >>> caches = {"hook": 3 * b}, {"hook": b}
            >>> FullController.from_supervised(*caches, "hook", ridge=0.0).U.round().abs()
            tensor([[2., 0.],
                    [0., 2.]])
        """
        A, B = regressed(cache_a, cache_b, hook_name, valid=valid, ridge=ridge)
        return cls(B @ A, hook_name)

    @property
    def d_model(self) -> int:
        return self.U.shape[-1]

    @property
    def matrix(self) -> Float[Tensor, "*lead d_model d_model"]:
        return self.U

    def delta(self, x: Shaped[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        return torch.einsum("...od,...d->...o", self.aligned(self.U, x), x)

    def mixture(
        self, x: Float[Tensor, "*batch d_model"], weights: Float[Tensor, "*batch n"]
    ) -> Float[Tensor, "*batch d_model"]:
        return torch.einsum(
            "nod,...nd->...o", self.U.to(x), x.unsqueeze(-2) * weights.unsqueeze(-1)
        )

    def null(self, generator: torch.Generator) -> Self:
        return type(self)(self.rotations(generator) @ self.U.detach(), self.hook_name)
