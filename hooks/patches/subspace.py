"""Subspace ablation and interchange: x <- x + P (s - x), P an orthogonal projection."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor

from irl_lens.hooks.core.subspace import check_independent, orthonormal, projection
from irl_lens.hooks.patches.patch import Patch


class SubspacePatch(Patch):
    """x <- x + P (s - x), P the projection on a subspace; without s, x <- x - P x.

    Args:
        basis: vectors that span the subspace, [vectors, width], independent; they need not be
            orthonormal.
        hook_name: hook point that is patched.
        source: s, whose component in the subspace is swapped in; projected out if None.
        **address: `rows`, `steps`, `heads`, `keys`, as of :class:`Patch`.

    Raises:
        ValueError: the vectors are dependent; when run, not as wide as the activations.

    Examples:
        >>> x = torch.tensor([[[3.0, 4.0]]])
        >>> direction = torch.tensor([[2.0, 0.0]])
        >>> SubspacePatch(direction, "hook_embed")(x).flatten()
        tensor([0., 4.])
        >>> SubspacePatch(direction, "hook_embed", source=-x)(x).flatten()
        tensor([-3.,  4.])
    """

    basis: Tensor
    source: Tensor | None

    def __init__(
        self,
        basis: Float[Tensor, "*_"],
        hook_name: str,
        source: Float[Tensor, "_ ..."] | None = None,
        **address: Any,
    ) -> None:
        super().__init__(hook_name, **address)
        check_independent(basis)
        self.hold("basis", basis)
        if source is None:
            self.register_buffer("source", None)
        else:
            self.hold("source", source)

    @property
    def directions(self) -> Float[Tensor, "width vectors"]:
        """Orthonormal directions that span the subspace, a differentiable function of the basis.

        Examples:
            >>> SubspacePatch(torch.tensor([[0.0, 2.0]]), "hook_embed").directions.abs().flatten()
            tensor([0., 1.])
        """
        return orthonormal(self.basis)

    def replacement(self, x: Tensor) -> Tensor:
        change = -x if self.source is None else self.placed(self.source, x) - x
        return x + projection(change, self.basis)
