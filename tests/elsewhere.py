"""A second device on any machine: what meets a tensor of the other one there is an error.

Tensors with content that say they are on the device ``meta``. Within :func:`elsewhere`, tensors
made on that device are such, ``.to("meta")`` brings one there, ``.cpu()`` brings it back, and an
operation on tensors of both fails as it would with a graphics card. As there, numbers may come from
here, and so may what a tensor there is indexed with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("meta")
COPIES = (torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default)
LOOKED_UP = (torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default)


class Elsewhere(Tensor):
    """A tensor that is on the other device."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> Elsewhere:
        made = Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )
        made.held = held
        return made

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Elsewhere({self.held!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


class _Mode(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


class _FromNumbers(TorchFunctionMode):
    """Makes tensors of Python's numbers here and brings them there; torch leaves them empty."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is Tensor.tolist and isinstance(args[0], Elsewhere):
            return args[0].cpu().tolist()
        if func is Tensor.new_tensor and isinstance(args[0], Elsewhere):
            return torch.tensor(args[1], dtype=args[0].dtype, **kwargs).to(DEVICE)
        if func is torch.tensor and kwargs.get("device") not in (None, "cpu"):
            return torch.tensor(*args, **kwargs | {"device": "cpu"}).to(kwargs["device"])
        return func(*args, **kwargs)


def run(func: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
    """Runs an operation on what is held, if all of it is on one device."""
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    there = [x for x in tensors if isinstance(x, Elsewhere)]
    here = [x for x in tensors if not isinstance(x, Elsewhere) and x.dim()]
    if func in LOOKED_UP and isinstance(args[0], Elsewhere):
        indices = {id(x) for x in args[1]}
        here = [x for x in here if id(x) not in indices]
    if any(x.is_meta for x in tensors if not isinstance(x, Elsewhere)):
        raise RuntimeError(f"{func} is indexed with a list: make it a tensor, to be tried here")
    if there and here and func not in COPIES:
        sizes = ", ".join(f"{type(x).__name__}{tuple(x.shape)}" for x in tensors)
        raise RuntimeError(f"{func} of tensors on two devices: {sizes}")
    wrapped = bool(there)
    if kwargs.get("device") is not None:
        wrapped = torch.device(kwargs["device"]).type != "cpu"
        kwargs = {**kwargs, "device": "cpu"}
    same = {id(x.held): x for x in there}
    args, kwargs = tree_map(lambda x: x.held if isinstance(x, Elsewhere) else x, (args, kwargs))
    made = func(*args, **kwargs)

    def back(x: Any) -> Any:
        if not (wrapped and isinstance(x, Tensor)):
            return x
        return same[id(x)] if id(x) in same else Elsewhere(x)

    return tree_map(back, made)


@contextmanager
def elsewhere(card: bool = False) -> Iterator[torch.device]:
    """Lends the device, to the calling thread.

    Args:
        card: What is brought to ``cuda`` comes there too, and torch says that it sees a card.
    """
    with ExitStack() as stack:
        for where, name, value in STANDING_IN + CARD * card:
            stack.enter_context(patch.object(import_module(where), name, value, create=True))
        stack.enter_context(_Mode())
        stack.enter_context(_FromNumbers())
        yield DEVICE


class _InTurn:
    """An executor of one thread, the caller's."""

    def __init__(self, threads: int, **options: Any) -> None: ...

    def __enter__(self) -> _InTurn:
        return self

    def __exit__(self, *error: object) -> None: ...

    map = staticmethod(map)


def _class(x: Any) -> type:
    return Tensor if isinstance(x, Elsewhere) else type(x)


STANDING_IN: tuple[tuple[str, str, Any], ...] = (
    ("irl_lens.training.parallel", "ThreadPoolExecutor", _InTurn),
    # The fused optimiser runs there, as it does on a graphics card.
    ("torch.optim.optimizer", "_get_fused_kernels_supported_devices", lambda: ["cpu", "meta"]),
    # TransformerLens asks whether a stream is of the class Tensor itself.
    ("transformer_lens.HookedTransformer", "type", _class),
)
"""Module, name, and what is there meanwhile."""
CARD: tuple[tuple[str, str, Any], ...] = (
    ("torch.cuda", "is_available", lambda: True),
    ("torch.cuda", "current_device", lambda: 0),
    ("torch.cuda", "get_device_name", lambda device: "a card"),
    ("torch.cuda", "_lazy_init", lambda: None),
)
