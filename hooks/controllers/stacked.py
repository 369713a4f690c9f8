"""Many controllers in one: tensors with leading axes, and how they meet those of the stream.

None: the same controller at every position; [rows]; or [rows, steps].
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Self, TypeVar

import torch
from jaxtyping import Shaped
from torch import Tensor

from irl_lens.hooks.combinators.arithmetic import Additive
from irl_lens.hooks.core.address import Axes, check_width, spread


class Stacked(Additive):
    """A change of the stream whose tensors may have leading axes, one controller at each index.

    Examples:
        >>> from irl_lens.hooks import VectorController
        >>> three = VectorController.zeros(8, "hook", lead=(3,))
        >>> three.lead, three.at(0).lead
        ((3,), ())
    """

    item_axes = 2
    """Number of axes of one controller's own tensors; those before are leading axes."""

    @property
    @abstractmethod
    def d_model(self) -> int:
        """Width of the stream the controller acts on.

        Examples:
            >>> from irl_lens.hooks import VectorController
            >>> VectorController.zeros(8, "hook").d_model
            8
        """

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


S = TypeVar("S", bound=Stacked)


def stacked(controllers: Mapping[str, S]) -> S:
    """Stacks controllers along one leading axis; gradients reach the originals.

    Args:
        controllers: without leading axes, by name.

    Raises:
        ValueError: there is none, or they differ.

    Examples:
        >>> from irl_lens.hooks import VectorController
        >>> one, two = (VectorController(torch.tensor([x]), "hook") for x in (1.0, 2.0))
        >>> stacked({"one": one, "two": two}).v.tolist()
        [[1.0], [2.0]]
    """
    alike = {
        (type(c), c.hook_name, tuple((n, t.shape) for n, t in c.tensors().items()))
        for c in controllers.values()
    }
    if len(alike) != 1 or any(c.lead for c in controllers.values()):
        raise ValueError(
            f"{len(controllers)} controllers of {len(alike)} kinds, hook points or shapes "
            f"(leading axes {[c.lead for c in controllers.values()]}); a bank takes "
            "{name: controller} of one kind, hook point and shape, without leading axes"
        )
    kind, hook_name, _ = alike.pop()
    items = [controller.tensors() for controller in controllers.values()]
    return kind(
        **{name: torch.stack([item[name] for item in items]) for name in items[0]},
        hook_name=hook_name,
    )
