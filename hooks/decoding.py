"""Where in its sequence a forward pass starts: said by whoever runs it, while it runs.

In cached decoding a hooked tensor is a window on a longer sequence, x = e_{t..t+n}, and what an
intervention does depends on t. Only the runner knows t. So it is no state of the intervention,
where it would stay behind: the runner announces it for the time of a forward pass, in the
running thread or task alone, and interventions ask :func:`start`.

Runners that know their cache announce by themselves (:func:`announced`): the fast path, and any
model with an intervention attached (:mod:`irl_lens.hooks.key_values`). For a loop of one's own
around anything else there is :func:`starting_at`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_said: ContextVar[int | None] = ContextVar("said", default=None)
_known: ContextVar[int | Exception | None] = ContextVar("known", default=None)


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
    said, known = _said.set(step), _known.set(None)
    try:
        yield
    finally:
        _said.reset(said)
        _known.reset(known)


@contextmanager
def announced(length: int | Exception | None) -> Iterator[None]:
    """Announces what a runner knows of the forward pass inside the ``with`` block.

    Args:
        length: steps in the runner's cache before the pass; None if it runs without one; an
            error, for whoever asks, if the runner cannot tell.

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
    token = _known.set(length)
    try:
        yield
    finally:
        _known.reset(token)


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
