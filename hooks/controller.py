"""What controllers share: e <- e + delta(e), shapes, and stacking.

A controller's tensors may have leading axes: none (the same for every position), [rows],
or [rows, steps]. The paper's injection e_t <- e_t + U_t e_t (arXiv 2512.20605, section D,
and App. C.2 for supervised controllers) is the [rows, steps] case.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Self

from jaxtyping import Float, Shaped
from torch import Tensor

from .intervention import Intervention


class Controller(Intervention):
    """An additive change of the residual stream.

    A zero controller returns its input, as e + 0 (which is e, bit for bit, but for the
    sign of a negative zero).
    """

    item_axes = 2
    """Axes of one controller's own tensors; those before are leading axes."""

    @abstractmethod
    def delta(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        """Returns what is added to the stream, in the stream's units."""

    @abstractmethod
    def mixture(
        self, x: Float[Tensor, "*batch d_model"], weights: Float[Tensor, "*batch n"]
    ) -> Float[Tensor, "*batch d_model"]:
        """Returns sum_n weights_n delta_n(x), reading the leading axis as n controllers.

        One-hot weights choose a controller per position without gathering one matrix per
        position.
        """

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        self.check_width(x)
        return x + self.delta(x).to(x.dtype)

    def tensors(self) -> dict[str, Tensor]:
        """Returns the controller's tensors by constructor keyword."""
        return {**dict(self.named_parameters()), **dict(self.named_buffers())}

    @property
    def lead(self) -> tuple[int, ...]:
        """Leading axes: (), (rows,) or (rows, steps)."""
        first = next(iter(self.tensors().values()))
        return tuple(first.shape[: first.ndim - self.item_axes])

    @property
    @abstractmethod
    def d_model(self) -> int:
        """Width of the stream the controller acts on."""

    def at(self, index: Any, keep: Shaped[Tensor, "_ ..."] | None = None) -> Self:
        """Returns the controllers at an index of the leading axes, gradients connected.

        Args:
            index: anything that indexes a tensor's first axes.
            keep: 0 or 1 for each resulting controller; where 0 it is the zero controller.
        """
        tensors = {name: tensor[index] for name, tensor in self.tensors().items()}
        if keep is not None:
            ones = (1,) * self.item_axes
            tensors = {n: t * keep.reshape(*keep.shape, *ones).to(t) for n, t in tensors.items()}
        return type(self)(**tensors, hook_name=self.hook_name)

    def aligned(self, tensor: Tensor, x: Tensor) -> Tensor:
        """Returns a tensor of ours with its leading axes placed along those of `x`."""
        axes = tensor.ndim - self.item_axes
        if axes > 2:
            raise ValueError(
                f"a controller has at most the leading axes [rows, steps], not {self.lead}"
            )
        if axes == 2:
            tensor = self.window(tensor, x)
        elif axes == 1:
            self.check_rows(x)
            tensor = tensor.unsqueeze(1)
        return tensor.to(x)

    def check_rows(self, x: Tensor) -> None:
        """Raises ValueError unless there is one controller a row, or one for all rows."""
        if self.lead[0] not in (1, x.shape[0]):
            raise ValueError(
                f"{self.lead[0]} controllers for {x.shape[0]} rows at {self.hook_name}; "
                "give one, or one for each row"
            )

    def check_width(self, x: Tensor) -> None:
        """Raises ValueError unless the stream is as wide as the controller."""
        if x.shape[-1] != self.d_model:
            raise ValueError(
                f"the controller is {self.d_model} wide, the stream at {self.hook_name} is "
                f"{x.shape[-1]} wide; use a controller made for this model and hook point"
            )
