"""The contract of every intervention: a function of one hooked activation.

    x <- f(x)   at the hook point `hook_name`

The same object runs in plain TransformerLens (``model.run_with_hooks(tokens,
fwd_hooks=c.fwd_hooks())``), as a context manager (``with c.attached(model): ...``), under
autograd, and in cached decoding, where the runner announces which step of the sequence the
hooked tensor starts at (:mod:`irl_lens.hooks.core.decoding`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from irl_lens.hooks.core.address import Axes
from irl_lens.hooks.core.attach import Handle, HookFunction, attach
from irl_lens.hooks.core.attention_scores import carried
from irl_lens.hooks.core.decoding import start
from irl_lens.hooks.core.part import Part
from irl_lens.hooks.core.spectrum import precise


class Intervention(Part, ABC):
    """A change to the activation at one hook point.

    Args:
        hook_name: TransformerLens name of the hook point, e.g. ``blocks.2.hook_resid_post``.

    All that a kind of one's own must give is :meth:`forward`.

    Examples:
        >>> class Negate(Intervention):
        ...     def forward(self, x):
        ...         return -x
        >>> Negate("hook_embed")(3)
        -3
    """

    def __init__(self, hook_name: str) -> None:
        super().__init__()
        self.hook_name = hook_name

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Returns what the hook point carries on instead of `x`.

        Examples:
            >>> import torch
            >>> from irl_lens.hooks import VectorController
            >>> VectorController(torch.ones(2), "hook_embed")(torch.zeros(1, 1, 2)).tolist()
            [[[1.0, 1.0]]]
        """

    def delta(self, x: Tensor) -> Tensor:
        """Returns the change alone, f(x) - x, in at least float32.

        In bfloat16 the difference of 0.5 and 300 would be -300.

        Examples:
            >>> import torch
            >>> from irl_lens.hooks import AblatePatch
            >>> AblatePatch("hook_embed").delta(torch.ones(1, 1, 2)).tolist()
            [[[-1.0, -1.0]]]
        """
        x, y = precise(x), precise(self(x))
        # What attention hides is minus infinity before and after: no change, and no number.
        return torch.where(x.isinf() & (y == x), 0, y - x)

    def config(self) -> dict[str, Any]:
        return {"hook_name": self.hook_name}

    @property
    def offset(self) -> int:
        """Step of the sequence that the first position of the hooked tensor is at.

        As the runner announces it for the present forward pass: the fast path, and every
        model this is attached to, do so by themselves; elsewhere see
        :func:`~irl_lens.hooks.starting_at`. With left padding steps count the padding.

        Examples:
            >>> from irl_lens.hooks import AblatePatch, starting_at
            >>> patch = AblatePatch("hook_embed")
            >>> with starting_at(3):
            ...     patch.offset
            3
        """
        begin = start()
        return 0 if begin is None or Axes.of(self.hook_name).past else begin

    @property
    def windowed(self) -> bool:
        """Whether the hooked tensor is a window on a longer sequence.

        If not, it is a whole sequence, and a step addressed beyond its end is an error.

        Examples:
            >>> from irl_lens.hooks import AblatePatch, starting_at
            >>> patch = AblatePatch("hook_embed")
            >>> with starting_at(0):
            ...     patch.windowed
            True
            >>> patch.windowed
            False
        """
        return start() is not None

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

        Examples:
            >>> import torch
            >>> from irl_lens.hooks import AblatePatch, starting_at
            >>> patch = AblatePatch("hook_embed")
            >>> with starting_at(2):
            ...     patch.window(torch.arange(6).reshape(1, 6), torch.zeros(1, 3)).tolist()
            [[2, 3, 4]]
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
                f"ends at step {stop}; give as many steps, or run windows of a longer sequence "
                "with a cache (see starting_at)"
            )
        return values.narrow(axis, self.offset, x.shape[axis]).to(x.device)

    def fwd_hooks(self) -> list[tuple[str, HookFunction]]:
        """Returns (hook name, function) pairs, as TransformerLens' ``run_with_hooks`` takes.

        A hook function is not told of a key-value cache. With ``past_kv_cache``, either attach
        the intervention, or say yourself where the window starts:
        ``with starting_at(steps_so_far): model.run_with_hooks(...)``.

        The functions refuse a hook point that does not have rows and steps first, and keep
        hidden what attention hides (:mod:`irl_lens.hooks.core.attention_scores`).

        Examples:
            >>> from irl_lens.hooks import AblatePatch
            >>> [(name, function)] = AblatePatch("hook_embed").fwd_hooks()
            >>> name
            'hook_embed'
        """

        def apply(tensor: Tensor, hook: Any) -> Tensor | None:
            return carried(self, tensor, self.hook_name)

        return [(self.hook_name, apply)]

    def attached(self, model: nn.Module, must_fire: bool = True) -> AbstractContextManager[Handle]:
        """Keeps the intervention on `model` inside a ``with`` block.

        Only our own hooks are added, and only they are removed, whatever happens inside.
        Blocks nest; ``model.reset_hooks()`` inside one leaves the intervention in place
        (see :mod:`irl_lens.hooks.core.attach`).

        Args:
            model: a hooked model, or any module with one inside.
            must_fire: whether it is an error if the block ends and a hook never fired.

        Returns:
            A context manager; it yields a handle that counts how often each hook fired.

        Raises:
            ValueError: no hook point of the model has the name, or the model does not run it;
                at the end of the block, a hook never fired.

        Examples:
            >>> import torch
            >>> from transformer_lens.hook_points import HookPoint
            >>> from irl_lens.hooks import VectorController
            >>> model = nn.Sequential(HookPoint())
            >>> model[0].name = "stream"
            >>> with VectorController(torch.ones(2), "stream").attached(model) as handle:
            ...     model(torch.zeros(1, 1, 2)).tolist()
            [[[1.0, 1.0]]]
            >>> handle.fired
            {'stream': 1}
        """
        return attach(model, self.fwd_hooks(), must_fire)
