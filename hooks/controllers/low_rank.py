"""Low-rank linear controllers: e <- e + B A e, U = B A of rank r.

The paper's grid controllers (arXiv 2512.20605, Tables A8 and A9), r = 16.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from irl_lens.hooks.codes.decoder import Decoder
from irl_lens.hooks.codes.hypernetwork import HypernetworkDecoder
from irl_lens.hooks.controllers.controller import Controller
from irl_lens.hooks.controllers.regression import regressed
from irl_lens.hooks.core.spectrum import Spectrum, precise

if TYPE_CHECKING:
    from transformer_lens import ActivationCache, FactoredMatrix


class LowRankController(Controller, kind="low-rank"):
    """e <- e + B (A e).

    Args:
        A: reads r coordinates from the stream.
        B: writes r directions to the stream.
        hook_name: hook point at which it acts.

    Raises:
        ValueError: the shapes of A and B do not belong together.

    Examples:
        >>> A = torch.tensor([[0.0, 1.0]])
        >>> B = torch.tensor([[10.0], [0.0]])
        >>> LowRankController(A, B, "hook")(torch.tensor([[[2.0, 3.0]]])).tolist()
        [[[32.0, 3.0]]]
    """

    A: Tensor
    B: Tensor
    ranked = True

    def __init__(
        self,
        A: Float[Tensor, "*_"],
        B: Float[Tensor, "*_"],
        hook_name: str,
    ) -> None:
        super().__init__(hook_name)
        if A.ndim < 2 or B.ndim < 2 or A.shape != B.mT.shape:
            raise ValueError(
                f"A is {tuple(A.shape)} and B is {tuple(B.shape)}; A must be "
                "[.., rank, d_model] and B [.., d_model, rank], of the same rank and width"
            )
        self.hold("A", A)
        self.hold("B", B)

    @classmethod
    def random(
        cls,
        d_model: int,
        rank: int,
        hook_name: str,
        init: float = 0.1,
        *,
        lead: tuple[int, ...] = (),
        generator: torch.Generator | None = None,
    ) -> Self:
        """Returns trainable controllers with |U e| about `init` times |e|.

        A ~ N(0, 1/d) and B ~ N(0, init^2 / r): each of the r coordinates of A e has
        variance |e|^2 / d, so each of the d components of B A e has variance
        init^2 |e|^2 / d. Both factors are nonzero, and U is not tiny: from factors so
        small that |U e| is far below |e|, neither gets a gradient worth having.

        Examples:
            >>> controller = LowRankController.random(64, rank=16, hook_name="hook")
            >>> controller.A.shape, controller.B.shape
            (torch.Size([16, 64]), torch.Size([64, 16]))
        """
        A = torch.randn(*lead, rank, d_model, generator=generator) * d_model**-0.5
        B = torch.randn(*lead, d_model, rank, generator=generator) * init * rank**-0.5
        return cls(nn.Parameter(A), nn.Parameter(B), hook_name)

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
        return cls.random(d_model, rank, hook_name, init, lead=lead, generator=generator)

    @classmethod
    def title(cls, rank: int) -> str:
        return f"rank {rank}"

    @classmethod
    def from_latent(cls, decoder: Decoder, z: Float[Tensor, "*lead n_z"], hook_name: str) -> Self:
        """Returns the controllers that codes stand for, leading axes as those of `z`.

        Gradients reach codes and decoder. To apply one code a step without forming its
        factors: :class:`~irl_lens.hooks.CodeController`.

        Args:
            decoder: a hypernetwork; arXiv 2512.20605, section D.
            z: the codes.
            hook_name: hook point at which they act.

        Raises:
            ValueError: another decoder; codes that are not as wide as it takes.

        Examples:
            >>> from irl_lens.hooks import HypernetworkDecoder
            >>> decoder = HypernetworkDecoder(n_z=8, hidden=32, d_model=64, rank=16)
            >>> controllers = LowRankController.from_latent(decoder, torch.randn(3, 8), "hook")
            >>> controllers.lead, controllers.rank
            ((3,), 16)
        """
        if not isinstance(decoder, HypernetworkDecoder):
            raise ValueError(
                f"a {type(decoder).__name__} makes no factors A and B; give a HypernetworkDecoder, "
                "or use FullController.from_latent"
            )
        A, B = decoder(z)
        return cls(A, B.mT, hook_name)

    @classmethod
    def from_supervised(
        cls,
        cache_a: ActivationCache | Mapping[str, Tensor],
        cache_b: ActivationCache | Mapping[str, Tensor],
        hook_name: str,
        rank: int,
        *,
        valid: Bool[Tensor, "rows steps"] | None = None,
        ridge: float = 1e-3,
    ) -> Self:
        """Returns the controller that best takes each activation of `b` to that of `a`.

        For when it is known what the stream should have carried: that of a run told the
        goal, say, for one that was not. Where a mean difference moves all activations alike,
        this moves each by what can be read from it; see
        :mod:`irl_lens.hooks.controllers.regression`. It is a constant. (The paper's supervised
        controllers know the right actions instead, and are trained through the model:
        ``bank[name]`` of a trained :class:`~irl_lens.hooks.ControllerBank`.)

        Args:
            cache_a: activations to move to, at the rows and steps of `b`.
            cache_b: activations to move.
            hook_name: hook point that they are from and the controller acts at.
            rank: rank r of U.
            valid: which rows and steps count, all if None.
            ridge: how much U is held back, relative to the activations' mean square; 0 not
                at all.

        Raises:
            ValueError: caches that do not pair up, a rank beyond the width, a negative ridge.

        Examples:
            >>> b = torch.randn(10, 5, 3)
            >>> a = b.clone()
            >>> a[..., 0] += 2 * b[..., 1]
            >>> controller = LowRankController.from_supervised(
            ...     {"hook": a}, {"hook": b}, "hook", rank=1, ridge=0.0
            ... )
            >>> (controller.B @ controller.A).round(decimals=3)[0].tolist()
            [0.0, 2.0, 0.0]
        """
        return cls(*regressed(cache_a, cache_b, hook_name, rank, valid, ridge), hook_name)

    @property
    def rank(self) -> int:
        """Rank r of U = B A, at most: the number of its factors' columns.

        Examples:
            >>> LowRankController.random(64, rank=16, hook_name="hook").rank
            16
        """
        return self.A.shape[-2]

    @property
    def d_model(self) -> int:
        return self.A.shape[-1]

    def delta(self, x: Shaped[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        read = torch.einsum("...rd,...d->...r", self.aligned(self.A, x), x)
        return torch.einsum("...dr,...r->...d", self.aligned(self.B, x), read)

    def mixture(
        self, x: Float[Tensor, "*batch d_model"], weights: Float[Tensor, "*batch n"]
    ) -> Float[Tensor, "*batch d_model"]:
        read = torch.einsum("nrd,...d->...nr", self.A.to(x), x)
        return torch.einsum("ndr,...nr->...d", self.B.to(x), read * weights.unsqueeze(-1))

    def inner(self, other: Self) -> Float[Tensor, "*lead"]:
        # tr(U^T U') from the factors: the largest array is [.., rank, rank'].
        written = precise(self.B).mT @ precise(other.B)
        return (written * (precise(self.A) @ precise(other.A).mT)).sum((-2, -1))

    def null(self, generator: torch.Generator) -> Self:
        rotated = self.rotations(generator) @ self.B.detach()
        return type(self)(self.A.detach(), rotated, self.hook_name)

    def exported(self) -> tuple[str, dict[str, Tensor]]:
        return "e + (e @ A.mT) @ B.mT", self.tensors()

    @property
    def matrix(self) -> Float[Tensor, "*lead d_model d_model"]:
        return self.B @ self.A

    @property
    def spectrum(self) -> Spectrum:
        return Spectrum.of_product(self.B, self.A)

    @property
    def factored(self) -> FactoredMatrix:
        """U^T = A^T B^T as TransformerLens' FactoredMatrix: ``e @ factored.AB`` is U e.

        TransformerLens multiplies rows from the left, so this composes with its weights
        as they are: ``factored @ model.W_U`` is what the controller does to the logits. Of
        U^T, the left singular vectors ``factored.U`` are what U reads, the right ones
        ``factored.V`` what it writes; see :attr:`spectrum`.

        Examples:
            >>> controller, e = LowRankController.random(8, 2, "hook"), torch.randn(5, 8)
            >>> torch.allclose(e @ controller.factored.AB, controller.delta(e), atol=1e-6)
            True
        """
        from transformer_lens import FactoredMatrix

        return FactoredMatrix(self.A.mT, self.B.mT)
