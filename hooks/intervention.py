"""The contract of every intervention: a function of one hooked activation.

    x <- f(x)   at the hook point `hook_name`

The same object runs in plain TransformerLens (``model.run_with_hooks(tokens,
fwd_hooks=c.fwd_hooks())``), as a context manager (``with c.attached(model): ...``), under
autograd, and in cached decoding, where :attr:`Intervention.offset` says which step of the
sequence the hooked tensor starts at.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jaxtyping import Shaped
from torch import Tensor, nn

from .part import Part

if TYPE_CHECKING:
    from transformer_lens.hook_points import HookPoint

HookFunction = Callable[..., "Tensor | None"]


@dataclass
class Handle:
    """What an attached intervention did.

    Attributes:
        fired: calls so far, by hook name.
    """

    fired: dict[str, int] = field(default_factory=dict)

    def counted(self, name: str, function: HookFunction) -> HookFunction:
        """Returns `function`, counting its calls under `name`."""
        self.fired.setdefault(name, 0)

        def counting(tensor: Tensor, hook: Any) -> Tensor | None:
            self.fired[name] += 1
            return function(tensor, hook=hook)

        return counting


class Intervention(Part, ABC):
    """A change to the activation at one hook point.

    Args:
        hook_name: TransformerLens name of the hook point, e.g. ``blocks.2.hook_resid_post``.
    """

    def __init__(self, hook_name: str) -> None:
        super().__init__()
        self.hook_name = hook_name
        self._offset: int | None = None

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Returns what the hook point carries on instead of `x`."""

    def delta(self, x: Tensor) -> Tensor:
        """Returns the change alone, f(x) - x."""
        return self(x) - x

    def config(self) -> dict[str, Any]:
        return {"hook_name": self.hook_name}

    @property
    def offset(self) -> int:
        """Step of the sequence that the first position of the hooked tensor is at.

        Never set, or set to None: the tensor is a whole sequence, and a step addressed
        beyond its end is an error. Set to a number, 0 included: the tensor is a window on
        a longer sequence, as in cached decoding. Interventions inside this one follow.
        """
        return self._offset or 0

    @offset.setter
    def offset(self, step: int | None) -> None:
        if step is not None and step < 0:
            raise ValueError(f"offset {step} is before the sequence; the first step is 0")
        for module in self.modules():
            if isinstance(module, Intervention):
                module._offset = step

    @property
    def windowed(self) -> bool:
        """Whether the hooked tensor is a window on a longer sequence."""
        return self._offset is not None

    def window(
        self, values: Shaped[Tensor, "_ ..."], x: Shaped[Tensor, "_ ..."], axis: int = 1
    ) -> Shaped[Tensor, "_ ..."]:
        """Returns the part of per-step `values` that belongs to the hooked tensor `x`.

        Args:
            values: rows first (one row: the same for all), whole sequence along `axis`.
            x: the hooked tensor, rows first.
            axis: the axis of steps, in both.

        Raises:
            ValueError: the rows differ, or one of the two reaches beyond the other.
        """
        if values.shape[0] not in (1, x.shape[0]):
            raise ValueError(
                f"{type(self).__name__} holds {values.shape[0]} rows, the batch at "
                f"{self.hook_name} has {x.shape[0]}; give one row, or one for each"
            )
        stop, steps = self.offset + x.shape[axis], values.shape[axis]
        if stop > steps or (stop < steps and not self.windowed):
            raise ValueError(
                f"{type(self).__name__} holds {steps} steps, the sequence at {self.hook_name} "
                f"ends at step {stop}; give as many steps, or set offset to run a part of them"
            )
        return values.narrow(axis, self.offset, x.shape[axis]).to(x.device)

    def fwd_hooks(self) -> list[tuple[str, HookFunction]]:
        """Returns (hook name, function) pairs, as TransformerLens' ``run_with_hooks`` takes."""

        def apply(tensor: Tensor, hook: Any) -> Tensor | None:
            return self(tensor)

        return [(self.hook_name, apply)]

    @contextmanager
    def attached(self, model: nn.Module) -> Iterator[Handle]:
        """Keeps the intervention on `model` inside a ``with`` block.

        Only our own hooks are added, and only they are removed, whatever happens inside.

        Args:
            model: a hooked model, or any module with one inside.

        Yields:
            A handle that counts how often each hook fired.

        Raises:
            ValueError: no hook point of the model has the name.
        """
        points, handle = hook_points(model), Handle()
        hooks = [(find_hook_point(points, name), fn) for name, fn in self.fwd_hooks()]
        with ExitStack() as stack:
            for point, function in hooks:
                stack.callback(_added(point, handle.counted(str(point.name), function)))
            yield handle


def hook_points(model: nn.Module) -> dict[str, HookPoint]:
    """Returns the hook points of a hooked model, or of the one inside `model`, by name."""
    from transformer_lens.hook_points import HookPoint

    named = getattr(model, "hook_dict", None)
    if named is not None:
        return named
    points = (module for module in model.modules() if isinstance(module, HookPoint))
    return {point.name: point for point in points if point.name}


def find_hook_point(points: dict[str, HookPoint], name: str) -> HookPoint:
    """Returns the hook point called `name`.

    Raises:
        ValueError: there is none; the message lists the closest names.
    """
    if name not in points:
        nearest = difflib.get_close_matches(name, points, n=5, cutoff=0.0)
        raise ValueError(f"no hook point is called {name!r}; the closest are {nearest}")
    return points[name]


def _added(point: HookPoint, function: HookFunction) -> Callable[[], None]:
    """Adds a hook and returns what removes it, and it alone."""
    point.add_hook(function)
    ours = point.fwd_hooks[-1]

    def remove() -> None:
        ours.hook.remove()
        point.fwd_hooks = [handle for handle in point.fwd_hooks if handle is not ours]

    return remove
