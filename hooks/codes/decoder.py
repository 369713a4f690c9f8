"""The base of decoders, which make controllers of codes: z -> U(z)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Self

import torch
from jaxtyping import Float
from torch import Tensor

from irl_lens.hooks.core.part import Part


class Decoder(Part, ABC):
    """Base of the decoders; what a :class:`~irl_lens.hooks.CodeController` needs of one.

    Args:
        n_z: width of the code.
        d_model: width of the stream.

    Examples:
        >>> from irl_lens.hooks import HypernetworkDecoder, LinearDecoder
        >>> issubclass(HypernetworkDecoder, Decoder) and issubclass(LinearDecoder, Decoder)
        True
    """

    def __init__(self, n_z: int, d_model: int) -> None:
        super().__init__()
        self.n_z, self.d_model = n_z, d_model

    @abstractmethod
    def delta(
        self, z: Float[Tensor, "*batch n_z"], e: Float[Tensor, "*batch d_model"]
    ) -> Float[Tensor, "*batch d_model"]:
        """Returns U(z) e.

        Raises:
            ValueError: codes of another width.

        Examples:
            >>> from irl_lens.hooks import LinearDecoder
            >>> LinearDecoder(8, d_model=64).delta(torch.ones(8), torch.ones(64)).any().item()
            False
        """

    def checked(self, z: Float[Tensor, "*lead width"]) -> Float[Tensor, "*lead width"]:
        """Returns codes as they are, if they are as wide as they must be.

        Raises:
            ValueError: they are not.

        Examples:
            >>> from irl_lens.hooks import LinearDecoder
            >>> LinearDecoder(8, d_model=64).checked(torch.zeros(3, 7))
            Traceback (most recent call last):
            ValueError: the code is 7 wide; this decoder takes 8
        """
        if z.shape[-1] != self.n_z:
            raise ValueError(f"the code is {z.shape[-1]} wide; this decoder takes {self.n_z}")
        return z

    @classmethod
    def restore(
        cls, config: dict[str, Any], tensors: dict[str, Tensor], parts: dict[str, Part]
    ) -> Self:
        # Nothing is allocated until the file's own tensors have proved to be of these sizes.
        with torch.device("meta"):
            decoder = cls(**config)
        decoder.load_state_dict(tensors, assign=True)
        return decoder
