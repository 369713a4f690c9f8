"""The step of its sequence at which a forward pass starts: said by whoever runs it, while it runs.

In cached decoding a hooked tensor is a window on a longer sequence, x = e_{t..t+n}, and what an
intervention does depends on t. Only the runner knows t. So it is no state of the intervention,
where it would stay behind: the runner announces it for the time of a forward pass, in the
running thread or task alone, and interventions ask :func:`start`.

Runners that know their cache announce by themselves (:func:`announced`): the fast path, and any
model with an intervention attached (:mod:`irl_lens.hooks.core.key_values`). For a loop of one's own
around anything else there is :func:`starting_at`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from weakref import ReferenceType, ref

_said: ContextVar[int | None] = ContextVar("said", default=None)
_known: ContextVar[int | Exception | None] = ContextVar("known", default=None)
_cache: ContextVar[Any] = ContextVar("cache", default=None)


class _NoCache:
    """Stands for the cache of passes that have none."""


_WHOLE, _UNNAMED = _NoCache(), _NoCache()


@contextmanager
def starting_at(step: int | None) -> Iterator[None]:
    """Says at which step of their sequence the forward passes inside the ``with`` block start.

    For loops of one's own. A model with a cache that something is attached to says so itself.

    Args:
        step: the first step of the window, 0 included: the sequence goes on after it. None:
            each is a whole sequence, whatever was said around this block; so an intervention
            may run another, on a tensor of its own, while a window passes through it.

    Raises:
        ValueError: a negative step; or, inside, a model whose own cache says otherwise.

    Examples:
        >>> from irl_lens.hooks import VectorController
        >>> per_step = VectorController(torch.arange(4.0).reshape(1, 4, 1), "hook_embed")
        >>> with starting_at(3):
        ...     per_step(torch.zeros(1, 1, 1)).item()
        3.0
    """
    if step is not None and step < 0:
        raise ValueError(f"step {step} is before the sequence; the first step is 0")
    said, known, cache = _said.set(step), _known.set(None), _cache.set(None)
    try:
        yield
    finally:
        _said.reset(said)
        _known.reset(known)
        _cache.reset(cache)


@contextmanager
def announced(length: int | Exception | None, cache: Any = None) -> Iterator[None]:
    """Announces what a runner knows of the forward pass inside the ``with`` block.

    Args:
        length: steps in the runner's cache before the pass; None if it runs without one; an
            error, for whoever asks, if the runner cannot tell.
        cache: the cache itself, if there is one yet.

    Raises:
        ValueError: :func:`starting_at` says otherwise.

    Examples:
        >>> with announced(2):
        ...     start()
        2
    """
    said = _said.get()
    if said is not None and isinstance(length, int) and said != length:
        raise ValueError(
            f"starting_at({said}) is in force, and the model's cache holds {length} steps; "
            "leave starting_at out: the model announces its cache itself"
        )
    known, held = _known.set(length), _cache.set(cache)
    try:
        yield
    finally:
        _known.reset(known)
        _cache.reset(held)


def start() -> int | None:
    """Returns the step at which the present forward pass starts; None if it runs it all.

    Raises:
        ValueError: the model runs with a cache that does not tell how many steps it holds.

    Examples:
        >>> print(start())
        None
    """
    known = _known.get()
    if isinstance(known, Exception):
        raise known
    return _said.get() if known is None else known


def sequence() -> ReferenceType[Any]:
    """Returns a weak reference to what the present pass's sequence is known by: its cache.

    For interventions that remember something from window to window; see :func:`goes_on`.

    Examples:
        >>> class Cache: ...
        >>> cache = Cache()
        >>> with announced(2, cache):
        ...     sequence()() is cache
        True
    """
    cache = _cache.get()
    if cache is None:
        cache = _WHOLE if start() is None else _UNNAMED
    return ref(cache)


def goes_on(before: ReferenceType[Any]) -> bool:
    """Returns whether the present pass may be of the same sequence as an earlier one.

    Not if it has another cache, or the earlier one ran a whole sequence; a cache that was only
    made in the earlier pass is one that it did not have.

    Args:
        before: what :func:`sequence` returned in the earlier pass.

    Examples:
        >>> class Cache: ...
        >>> one, other = Cache(), Cache()
        >>> with announced(0, one):
        ...     before = sequence()
        >>> with announced(2, other):
        ...     goes_on(before)
        False
    """
    then = before()
    return then is _UNNAMED or (then is not _WHOLE and then is sequence()())
