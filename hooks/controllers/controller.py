"""What controllers share: e <- e + delta(e), shapes, and stacking.

A controller's tensors may have leading axes: none (the same for every position), [rows],
or [rows, steps]. The paper's injection e_t <- e_t + U_t e_t (arXiv 2512.20605, section D,
and App. C.2 for supervised controllers) is the [rows, steps] case.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Self

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from irl_lens.hooks.combinators.arithmetic import Additive
from irl_lens.hooks.core.address import Axes, check_width, spread
from irl_lens.hooks.core.spectrum import Spectrum

if TYPE_CHECKING:
    from transformer_lens import FactoredMatrix


class Controller(Additive):
    """An additive change of the residual stream, linear or constant.

    A zero controller returns its input, as e + 0 (which is e, bit for bit, but for the
    sign of a negative zero).

    Examples:
        >>> from irl_lens.hooks import LowRankController
        >>> controller = LowRankController.random(8, rank=2, hook_name="hook", lead=(3, 5))
        >>> controller.lead, controller.d_model
        ((3, 5), 8)
        >>> controller(torch.zeros(3, 5, 8)).shape
        torch.Size([3, 5, 8])
    """

    item_axes = 2
    """Axes of one controller's own tensors; those before are leading axes."""

    @abstractmethod
    def mixture(
        self, x: Float[Tensor, "*batch d_model"], weights: Float[Tensor, "*batch n"]
    ) -> Float[Tensor, "*batch d_model"]:
        """Returns sum_n weights_n delta_n(x), reading the leading axis as n controllers.

        One-hot weights choose a controller per position without gathering one matrix per
        position.

        Examples:
            >>> from irl_lens.hooks import VectorController
            >>> two = VectorController(torch.tensor([[1.0], [10.0]]), "hook")
            >>> two.mixture(torch.zeros(1), torch.tensor([3.0, 2.0])).item()
            23.0
        """

    @abstractmethod
    def inner(self, other: Self) -> Float[Tensor, "*lead"]:
        """Returns <U, U'>, the sum over all entries of their product, leads broadcast.

        Examples:
            >>> from irl_lens.hooks import VectorController
            >>> v = VectorController(torch.tensor([3.0, 4.0]), "hook")
            >>> v.inner(v).item()
            25.0
        """

    @property
    @abstractmethod
    def spectrum(self) -> Spectrum:
        """Singular values, what is read and written, norm and effective rank.

        Examples:
            >>> from irl_lens.hooks import FullController
            >>> twice = FullController(torch.eye(4), "hook").spectrum
            >>> twice.norm.item(), round(twice.effective_rank.item(), 4)
            (2.0, 4.0)
        """

    @property
    @abstractmethod
    def factored(self) -> FactoredMatrix:
        """The change as TransformerLens' FactoredMatrix, which composes with its weights.

        It multiplies rows from the left: ``e @ factored.AB`` is U e.

        Examples:
            >>> from irl_lens.hooks import FullController
            >>> FullController(torch.tensor([[0.0, 1.0], [0.0, 0.0]]), "hook").factored.AB
            tensor([[0., 0.],
                    [1., 0.]])
        """

    @property
    @abstractmethod
    def d_model(self) -> int:
        """Width of the stream the controller acts on.

        Examples:
            >>> from irl_lens.hooks import VectorController
            >>> VectorController.zeros(8, "hook").d_model
            8
        """

    def cosine(self, other: Self) -> Float[Tensor, "*lead"]:
        """Returns <U, U'> / (|U| |U'|), Frobenius; of added vectors, their cosine.

        It belongs to the change U alone, not to the factors it is written in. With a zero
        controller it is 0, and so is its gradient. Leading axes broadcast.

        Raises:
            ValueError: another kind of controller, or another width.

        Examples:
            >>> from irl_lens.hooks import FullController
            >>> one = FullController(torch.eye(4), "hook")
            >>> two = FullController(torch.stack([-2 * torch.eye(4), torch.eye(4).flip(0)]), "hook")
            >>> one.cosine(two).tolist()
            [-1.0, 0.0]
        """
        if type(other) is not type(self) or other.d_model != self.d_model:
            raise ValueError(
                f"a {type(self).__name__} {self.d_model} wide and a {type(other).__name__} "
                f"{other.d_model} wide; only controllers of one kind and width are compared"
            )
        squares = [of.inner(of).clamp(min=0) for of in (self, other)]
        some = (squares[0] != 0) & (squares[1] != 0)
        # Neither a root of 0 nor a division by it: where not taken, their gradients are NaN too.
        one, two = (torch.where(some, square, 1).sqrt() for square in squares)
        return torch.where(some, self.inner(other) / (one * two), 0).clamp(-1, 1)

    def tensors(self) -> dict[str, Tensor]:
        """Returns the controller's tensors by constructor keyword.

        Examples:
            >>> from irl_lens.hooks import VectorController
            >>> VectorController(torch.zeros(2), "hook").tensors()
            {'v': tensor([0., 0.])}
        """
        return {**dict(self.named_parameters()), **dict(self.named_buffers())}

    @property
    def lead(self) -> tuple[int, ...]:
        """Leading axes: (), (rows,) or (rows, steps).

        Examples:
            >>> from irl_lens.hooks import VectorController
            >>> VectorController.zeros(8, "hook", lead=(3,)).lead
            (3,)
        """
        first = next(iter(self.tensors().values()))
        return tuple(first.shape[: first.ndim - self.item_axes])

    def at(self, index: Any, keep: Shaped[Tensor, "*_"] | None = None) -> Self:
        """Returns the controllers at an index of the leading axes, gradients connected.

        Args:
            index: anything that indexes a tensor's first axes.
            keep: 0 or 1 for each resulting controller; where 0 it is the zero controller.

        Examples:
            >>> from irl_lens.hooks import VectorController
            >>> three = VectorController(torch.tensor([[1.0], [2.0], [3.0]]), "hook")
            >>> three.at([2, 0], keep=torch.tensor([True, False])).v.tolist()
            [[3.0], [0.0]]
        """
        tensors = {name: tensor[index] for name, tensor in self.tensors().items()}
        if keep is not None:
            ones = (1,) * self.item_axes
            tensors = {n: t * keep.reshape(*keep.shape, *ones).to(t) for n, t in tensors.items()}
        return type(self)(**tensors, hook_name=self.hook_name)

    def aligned(self, tensor: Tensor, x: Tensor) -> Tensor:
        """Returns a tensor of ours as one of the stream's: leading axes placed, cast, moved.

        Raises:
            ValueError: more than two leading axes; rows, steps or width that differ.

        Examples:
            >>> from irl_lens.hooks import VectorController
            >>> rows = VectorController.zeros(8, "hook", lead=(3,))
            >>> rows.aligned(rows.v, torch.zeros(3, 5, 8)).shape
            torch.Size([3, 1, 8])
        """
        self.check_width(x)
        axes = tensor.ndim - self.item_axes
        if axes > 2:
            raise ValueError(
                f"a controller has at most the leading axes [rows, steps], not {self.lead}"
            )
        step = Axes.of(self.hook_name).step
        if axes:
            tensor = spread(tensor, x[..., 0], (0, step)[:axes])
        if axes == 2:
            tensor = self.window(tensor, x, step)
        elif axes == 1:
            self._check_rows(x)
        return tensor.to(x)

    def check_width(self, x: Tensor) -> None:
        """Raises ValueError unless the stream has a width, and is as wide as the controller.

        Examples:
            >>> from irl_lens.hooks import VectorController
            >>> VectorController.zeros(8, "hook").check_width(torch.zeros(3, 5, 8))
        """
        check_width(x, self.d_model, "controller", self.hook_name)

    def _check_rows(self, x: Tensor) -> None:
        if self.lead[0] not in (1, x.shape[0]):
            raise ValueError(
                f"{self.lead[0]} controllers for {x.shape[0]} rows at {self.hook_name}; "
                "give one, or one for each row"
            )
