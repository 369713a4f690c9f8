"""Attaching: our hooks on a model inside a ``with`` block, and nobody else's taken off it.

Our hooks are permanent to TransformerLens: ``model.reset_hooks()`` inside the block leaves
them in place, and so do ``run_with_hooks`` and ``run_with_cache``, which take off what they
put on. Only ``reset_hooks(including_permanent=True)`` removes them, as it says; the block
then ends without them.

What was attached and never acted is an error, at the end of the block: nothing else would tell
a run without the intervention from one with it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from inspect import signature
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from irl_lens.hooks.core.key_values import announcing

if TYPE_CHECKING:
    from transformer_lens.hook_points import HookPoint

HookFunction = Callable[..., "Tensor | None"]


@dataclass
class Handle:
    """What attached hooks did.

    Attributes:
        fired: calls so far, by the hook name asked for. One a forward, but where the model
            runs a hook point more often, as TransformerLens does those of ``ln1``.

    Examples:
        >>> handle = Handle()
        >>> double = handle.counted("hook_embed", lambda x, hook: 2 * x)
        >>> double(torch.tensor(3), hook=None), handle.fired
        (tensor(6), {'hook_embed': 1})
    """

    fired: dict[str, int] = field(default_factory=dict)

    def counted(self, name: str, function: HookFunction) -> HookFunction:
        """Returns `function`, counting its calls under `name`.

        Examples:
            >>> handle = Handle()
            >>> _ = handle.counted("hook_embed", print)
            >>> handle.fired
            {'hook_embed': 0}
        """
        self.fired.setdefault(name, 0)

        def counting(tensor: Tensor, hook: Any) -> Tensor | None:
            self.fired[name] += 1
            return function(tensor, hook=hook)

        return counting

    def check(self) -> None:
        """Raises ValueError if a hook never fired.

        Examples:
            >>> handle = Handle({"hook_embed": 0, "hook_pos_embed": 1})
            >>> handle.check()
            Traceback (most recent call last):
            ValueError: nothing has run hook_embed in this block, ...
        """
        silent = [name for name, times in self.fired.items() if not times]
        if silent:
            raise ValueError(
                f"nothing has run {', '.join(silent)} in this block, so what was attached there "
                "has changed nothing. Run the model inside the block, over these hook points: "
                "stop_at_layer and start_at_layer leave some out, HookedTransformer.generate "
                "the embedding's, and a compiled model any. Where that is meant, attach with "
                "must_fire=False"
            )


@contextmanager
def attach(
    model: nn.Module, fwd_hooks: Iterable[tuple[str, HookFunction]], must_fire: bool = True
) -> Iterator[Handle]:
    """Keeps hooks on a model inside a ``with`` block.

    Only these are added, and only they are removed, whatever happens inside. Blocks nest:
    what was attached first acts first. Inside, each forward pass announces at which step of
    the sequence it starts (:mod:`irl_lens.hooks.core.key_values`).

    Args:
        model: a hooked model, or any module with one inside.
        fwd_hooks: (hook name, function) pairs, as TransformerLens takes them.
        must_fire: whether it is an error if the block ends and a hook never fired. An
            exception that leaves the block is not replaced by that error.

    Yields:
        A handle that counts how often each hook fired.

    Raises:
        ValueError: no hook point of the model has the name, or the model is set not to run
            it, or is compiled. Nothing is attached then. At the end: a hook never fired.

    Examples:
        >>> from transformer_lens.hook_points import HookPoint
        >>> model = nn.Sequential(HookPoint())
        >>> model[0].name = "stream"
        >>> with attach(model, [("stream", lambda x, hook: x + 1)]) as handle:
        ...     model(torch.tensor(1)), handle.fired
        (tensor(2), {'stream': 1})
        >>> model(1)
        1
    """
    points, handle = hook_points(model), Handle()
    hooks = [(name, find_hook_point(points, name), function) for name, function in fwd_hooks]
    _check_not_compiled(model, [point for _, point, _ in hooks])
    for name, point, function in hooks:
        _check_runs(model, name, point, function)
    with announcing(model), ExitStack() as stack:
        for name, point, function in hooks:
            stack.callback(_added(point, handle.counted(name, function)))
        yield handle
    if must_fire:
        handle.check()


def hook_points(model: nn.Module) -> dict[str, HookPoint]:
    """Returns the hook points of a hooked model, or of the one inside `model`, by name.

    Raises:
        ValueError: several hooked models inside `model` use the same names.

    Examples:
        >>> from transformer_lens.hook_points import HookPoint
        >>> model = nn.Sequential(HookPoint())
        >>> model[0].name = "stream"
        >>> list(hook_points(model))
        ['stream']
    """
    from transformer_lens.hook_points import HookPoint

    named = getattr(model, "hook_dict", None)
    if named is not None:
        return named
    points = [m for m in model.modules() if isinstance(m, HookPoint) and m.name]
    by_name = {str(point.name): point for point in points}
    if len(by_name) < len(points):
        raise ValueError(
            f"{type(model).__name__} holds {len(points)} hook points of {len(by_name)} names; "
            "attach to the one hooked model inside it that is meant"
        )
    return by_name


def find_hook_point(points: dict[str, HookPoint], name: str) -> HookPoint:
    """Returns the hook point called `name`.

    Raises:
        ValueError: there is none; the message lists the closest names.

    Examples:
        >>> from transformer_lens.hook_points import HookPoint
        >>> find_hook_point({"hook_embed": HookPoint()}, "hook_embde")
        Traceback (most recent call last):
        ValueError: no hook point is called 'hook_embde'; the closest are ['hook_embed']
    """
    if not points:
        raise ValueError(
            f"no hook point is called {name!r}: the model has none; give a HookedTransformer, a "
            "TransformerBridge, another HookedRootModule, or a module with one inside"
        )
    if name not in points:
        nearest = difflib.get_close_matches(name, points, n=5, cutoff=0.0)
        raise ValueError(f"no hook point is called {name!r}; the closest are {nearest}")
    return points[name]


def _check_not_compiled(model: nn.Module, points: Iterable[HookPoint]) -> None:
    """Refuses hook points in compiled modules: what was compiled before runs on without hooks."""
    for name, module in model.named_modules():
        if "_orig_mod" not in module._modules and module._compiled_call_impl is None:
            continue
        if not set(module.modules()).isdisjoint(points):
            raise ValueError(
                f"{name or 'the model'} is compiled, and what was compiled runs on without our "
                "hooks; attach to the uncompiled module and run that: `_orig_mod` of what "
                "torch.compile returned, copy.deepcopy of what was compiled in place"
            )


def _check_runs(model: nn.Module, name: str, point: HookPoint, function: HookFunction) -> None:
    """Lets the hooked model refuse points that its settings leave out of the forward pass."""
    known = {"hook_point": point, "hook_point_name": name, "hook": function}
    for module in model.modules():
        refuse = getattr(module, "check_hooks_to_add", None)
        if refuse is None or getattr(module, "hook_dict", {}).get(name) is not point:
            continue
        # A HookedRootModule asks for all three and asserts, a TransformerBridge for the name.
        asked = {key: known[key] for key in signature(refuse).parameters if key in known}
        try:
            refuse(**asked)
        except (AssertionError, ValueError) as error:
            raise ValueError(f"the model does not run {name}: {error}") from error


def _added(point: HookPoint, function: HookFunction) -> Callable[[], None]:
    """Adds a hook and returns what removes it, and it alone."""
    point.add_hook(function, is_permanent=True)
    ours = point.fwd_hooks[-1]

    def remove() -> None:
        ours.hook.remove()
        point.fwd_hooks = [handle for handle in point.fwd_hooks if handle is not ours]

    return remove
