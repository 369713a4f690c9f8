"""Models' own key-value caches: how many steps one holds, announced at each forward pass.

``HookedTransformer.generate`` and Hugging Face's loops call a model again and again with a
cache. While something is attached to the model, the ``forward`` of the module that takes the
cache is wrapped, on that one object: each pass announces where it starts
(:mod:`irl_lens.hooks.core.decoding`), whoever calls it. An encoder beside the decoder has steps
of its own, which the decoder's cache does not count: it announces its whole sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from inspect import signature
from typing import Any

from torch import nn

from irl_lens.hooks.core.decoding import announced

CACHES = ("past_kv_cache", "past_key_values", "cache_params")
"""Names of the argument: of TransformerLens, of Hugging Face, of its state space models."""


@contextmanager
def announcing(model: nn.Module) -> Iterator[None]:
    """Lets every forward pass of the model announce where it starts, inside a ``with`` block.

    Blocks nest and end in any order; with the last the model is as it was.

    Args:
        model: any model; one that takes no cache announces whole sequences.

    Examples:
        >>> class Decoder(nn.Module):
        ...     def forward(self, x, past_kv_cache=None):
        ...         return x
        >>> decoder = Decoder()
        >>> with announcing(decoder):
        ...     "forward" in vars(decoder)
        True
        >>> "forward" in vars(decoder)
        False
    """
    with ExitStack() as stack:
        for module in _runners(model) or [model]:
            stack.callback(_wrapped(module))
        yield


def given_cache(arguments: Mapping[str, Any]) -> Any:
    """Returns the cache among a forward pass's arguments; None if there is none.

    Examples:
        >>> given_cache({"past_key_values": "cache"})
        'cache'
    """
    return next((c for name in CACHES if (c := arguments.get(name)) is not None), None)


def held(arguments: Mapping[str, Any]) -> int | Exception | None:
    """Returns how many steps the cache among a forward pass's arguments holds.

    None if there is no cache: the pass runs a whole sequence. An error if it does not say.

    Examples:
        >>> from transformers.cache_utils import DynamicCache
        >>> held({"past_key_values": DynamicCache()}), held({"past_key_values": None})
        (0, None)
    """
    cache = given_cache(arguments)
    if cache is None:
        # Asked for a new cache: the sequence goes on after this pass.
        return 0 if arguments.get("use_cache") else None
    try:
        if hasattr(cache, "entries"):  # TransformerLens; blocks before the first have none
            first = min(arguments.get("start_at_layer") or 0, len(cache.entries) - 1)
            return cache.entries[first].past_keys.shape[1]
        return int(cache.get_seq_length())
    except (AttributeError, NotImplementedError, ValueError) as error:
        return ValueError(
            f"a {type(cache).__name__} does not say how many steps it holds ({error}); what is "
            "attached depends on the step: run whole sequences, without a cache"
        )


class AnnouncedForward:
    """A module's forward that announces where it starts; a copy is that of the module's copy.

    Attributes:
        before: the forward that the instance had of its own; None if it had none.

    Examples:
        >>> module = nn.Identity()
        >>> with announcing(module):
        ...     isinstance(module.forward, AnnouncedForward), module.forward.before
        (True, None)
    """

    def __init__(self, module: nn.Module) -> None:
        self.before = vars(module).get("forward")
        self.__wrapped__ = module.forward  # what inspect.signature looks through
        self.names = list(signature(module.forward).parameters)
        self.blocks = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        arguments = {**dict(zip(self.names, args, strict=False)), **kwargs}
        with announced(held(arguments), given_cache(arguments)):
            return self.__wrapped__(*args, **kwargs)


def _wrapped(module: nn.Module) -> Callable[[], None]:
    """Wraps the forward of a module, once for all blocks, and returns what ends a block."""
    found = vars(module).get("forward")
    ours = found if isinstance(found, AnnouncedForward) else AnnouncedForward(module)
    module.forward = ours
    ours.blocks += 1

    def end() -> None:
        ours.blocks -= 1
        if ours.blocks or vars(module).get("forward") is not ours:
            return  # another block needs it, or someone has wrapped it in turn
        if ours.before is None:
            del module.forward
        else:
            module.forward = ours.before

    return end


def _runners(model: nn.Module) -> list[nn.Module]:
    """Returns the outermost modules whose forward takes a cache, and the encoders in them."""
    # A TransformerBridge keeps what it runs aside; Hugging Face's loops call that directly.
    module: nn.Module = getattr(model, "original_model", model)
    if not signature(module.forward).parameters.keys().isdisjoint(CACHES):
        return [module, *_encoders(module)]
    return [runner for child in module.children() for runner in _runners(child)]


def _encoders(runner: nn.Module) -> list[nn.Module]:
    """Returns Hugging Face's encoder: it has no cache, and may run again in each pass."""
    config: Any = getattr(runner, "config", None)
    get_encoder: Any = getattr(runner, "get_encoder", None)
    return [get_encoder()] if getattr(config, "is_encoder_decoder", False) else []
