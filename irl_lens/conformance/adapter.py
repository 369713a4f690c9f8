"""What an implementation offers to be put through the oracles.

An adapter translates an implementation of internal RL (arXiv 2512.20605) into four calls:
encode a batch as discovery does, roll codes out, take one backward pass, apply no control.
What it does not offer is "not applicable" in the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from inspect import isclass, isfunction, signature
from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


class NotOffered(Exception):
    """The implementation has no such thing, or does not claim it; the message is the reason.

    Examples:
        >>> raise NotOffered("the gate has no logit")
        Traceback (most recent call last):
        irl_lens.conformance.adapter.NotOffered: the gate has no logit
    """


@dataclass(frozen=True)
class Discovery:
    """What discovery makes of a batch of whole sequences. None: not offered.

    Attributes:
        proposals: Samples z~ of the encoder, [rows, steps, n_z].
        codes: Integrated codes z, [rows, steps, n_z].
        beta: Soft gates, [rows, steps].
        mu: Means of the encoder, [rows, steps, n_z].
        log_sigma: Log standard deviations of the encoder, [rows, steps, n_z].
        kl: What the loss charges for the codes, before alpha, a single number; any constant
            factor will do.
        controlled: The stream after control, [rows, steps, d_model].
        matrix: The controller U of each position, [rows, steps, d_model, d_model].

    Examples:
        >>> import torch
        >>> z = torch.zeros(2, 3, 4)
        >>> Discovery(proposals=z, codes=z, beta=torch.ones(2, 3)).matrix is None
        True
    """

    proposals: Float[Tensor, "*_"]
    codes: Float[Tensor, "*_"]
    beta: Float[Tensor, "*_"]
    mu: Float[Tensor, "*_"] | None = None
    log_sigma: Float[Tensor, "*_"] | None = None
    kl: Float[Tensor, "*_"] | None = None
    controlled: Float[Tensor, "*_"] | None = None
    matrix: Float[Tensor, "*_"] | None = None


@dataclass(frozen=True)
class Rollout:
    """What acting with a hard gate made of codes that a policy proposed.

    Attributes:
        codes: Codes in force, [rows, steps, n_z].
        switched: Where a new code was taken up, [rows, steps].
        outputs: The base's outputs under control, logits or whatever it acts by, [rows, steps,
            any].

    Examples:
        >>> import torch
        >>> codes, switched = torch.zeros(2, 3, 4), torch.ones(2, 3, dtype=torch.bool)
        >>> Rollout(codes, switched, outputs=torch.zeros(2, 3, 5)).outputs.shape
        torch.Size([2, 3, 5])
    """

    codes: Float[Tensor, "*_"]
    switched: Bool[Tensor, "*_"]
    outputs: Float[Tensor, "*_"]


CALLS = ("discover", "rollout", "backward", "null")
"""Methods of an adapter."""


@runtime_checkable
class Adapter(Protocol):
    """Four calls to an implementation: subclass this and give those that it has.

    Everything must be a function of its arguments: weights fixed, no dropout, float32 or
    better, on the CPU. An untrained implementation is the best subject: its gates are neither
    open nor shut. Any call may raise :class:`NotOffered`.

    Attributes:
        name: The implementation and its version.
        d_model: Width of the stream.
        n_z: Width of the code.

    Examples:
        >>> class Nothing(Adapter):
        ...     name, d_model, n_z = "nothing", 4, 2
        >>> isinstance(Nothing(), Adapter)
        True
    """

    name: str
    d_model: int
    n_z: int

    def discover(
        self,
        stream: Float[Tensor, "rows steps d_model"],
        lengths: Int[Tensor, " rows"],
        noise: Float[Tensor, "rows steps n_z"],
        shift: float,
    ) -> Discovery:
        """Encodes whole sequences as discovery does, with the soft gate.

        Args:
            stream: e before control.
            lengths: Steps of each row that happened; what comes after is padding.
            noise: Standard normal, from which the encoder draws z~ = mu + sigma * noise.
            shift: Added to the logit of every gate that is not forced. The oracles use 0, and
                -50 to hold the gate shut.

        Raises:
            NotOffered: Unless a subclass says otherwise.

        Examples:
            With a network f_switch that ends in a linear map ``out``, the shift is a hook:

            >>> import torch
            >>> out = nn.Linear(3, 1)
            >>> handle = out.register_forward_hook(lambda module, inputs, logit: logit - 50.0)
            >>> bool(out(torch.zeros(2, 3)).sigmoid().max() < 1e-20)
            True
        """
        raise NotOffered("the adapter runs no discovery")

    def rollout(
        self, proposals: Float[Tensor, "rows steps n_z"], cached: bool, shift: float
    ) -> Rollout:
        """Acts with the hard gate on observations of the adapter's own, as in internal RL.

        Args:
            proposals: The code to take up at each step if the gate opens there.
            cached: One step at a time with carried caches, or all steps in one forward.
            shift: As in :meth:`discover`.

        Raises:
            NotOffered: Unless a subclass says otherwise.

        Examples:
            A rollout of no model at all, whose gate opens at the first step alone:

            >>> import torch
            >>> class Holds(Adapter):
            ...     def rollout(self, proposals, cached, shift):
            ...         codes = proposals[:, :1].expand_as(proposals)
            ...         switched = torch.arange(proposals.shape[1]) == 0
            ...         return Rollout(codes, switched.expand(len(codes), -1), outputs=codes)
            >>> Holds().rollout(torch.randn(2, 3, 4), cached=True, shift=0.0).switched.tolist()
            [[True, False, False], [True, False, False]]
        """
        raise NotOffered("the adapter rolls nothing out")

    def backward(self) -> tuple[nn.Module, nn.Module]:
        """Takes the backward pass of discovery's loss on a batch of the adapter's own.

        Returns:
            The base and the metacontroller, their gradients in place.

        Raises:
            NotOffered: Unless a subclass says otherwise.

        Examples:
            >>> import torch
            >>> class Tiny(Adapter):
            ...     def backward(self):
            ...         base, meta = nn.Linear(2, 2).requires_grad_(False), nn.Linear(2, 2)
            ...         base(meta(torch.ones(1, 2))).sum().backward()
            ...         return base, meta
            >>> [part.weight.grad is not None for part in Tiny().backward()]
            [False, True]
        """
        raise NotOffered("the adapter takes no backward pass")

    def null(
        self, stream: Float[Tensor, "rows steps d_model"]
    ) -> Float[Tensor, "rows steps d_model"]:
        """Returns the stream under the control that the implementation claims to be none.

        The paper asks for no such control (z_0 = 0 never acts, as the first step switches).
        Where an implementation claims that its zero code is the identity, that is the claim
        to test; else that of a zero controller, U = 0.

        Raises:
            NotOffered: Unless a subclass says otherwise.

        Examples:
            >>> import torch
            >>> from irl_lens.hooks import CodeController, HypernetworkDecoder
            >>> class Fresh(Adapter):
            ...     def null(self, stream):
            ...         decoder = HypernetworkDecoder(n_z=2, hidden=4, d_model=8, rank=2)
            ...         codes = torch.zeros(1, stream.shape[1], 2)
            ...         return CodeController(decoder, codes, "blocks.0.hook_resid_post")(stream)
            >>> stream = torch.randn(1, 3, 8)
            >>> torch.equal(Fresh().null(stream), stream)
            True
        """
        raise NotOffered("the adapter names no control that is none")


def load_adapter(where: str) -> Adapter:
    """Makes the adapter that ``module:name`` names.

    The module is imported, and nothing in it is called but a class with an adapter's calls or
    a Python function.

    Args:
        where: A module, and in it a class or function that makes an adapter, called without
            arguments.

    Raises:
        ValueError: There is no such module or name, or what it names makes no adapter.

    Examples:
        >>> load_adapter("irl_lens.hooks")
        Traceback (most recent call last):
        ValueError: adapter 'irl_lens.hooks': write module:name, such as my_package.adapter:Mine
    """
    module, _, name = where.partition(":")
    if not name or not all(part.isidentifier() for part in module.split(".")):
        raise ValueError(f"adapter {where!r}: write module:name, such as my_package.adapter:Mine")
    try:
        found = getattr(import_module(module), name, None)
    except ImportError as error:
        raise ValueError(
            f"adapter {where!r}: {error}; install what it needs, or put its folder on PYTHONPATH"
        ) from error
    if not callable(found):
        raise ValueError(f"adapter {where!r}: {module} has no class or function called {name!r}")
    _check_maker(where, found)
    adapter = found()
    if not isinstance(adapter, Adapter):
        raise ValueError(
            f"adapter {where!r} makes a {type(adapter).__name__}, no adapter; subclass "
            "irl_lens.conformance.Adapter"
        )
    return adapter


def _check_maker(where: str, found: Callable) -> None:
    """Refuses what cannot make an adapter, without calling it."""
    made = isclass(found) and found is not Adapter
    if not isfunction(found) and not (made and all(hasattr(found, call) for call in CALLS)):
        raise ValueError(
            f"adapter {where!r} is no subclass of irl_lens.conformance.Adapter, nor a "
            "Python function that makes one; name one of these"
        )
    try:
        signature(found).bind()
    except TypeError as error:
        raise ValueError(
            f"adapter {where!r}: {error}; it is called without arguments, so give them defaults"
        ) from error
