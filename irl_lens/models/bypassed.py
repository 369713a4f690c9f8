"""The modules that the fast path computes by itself, watched for all that TransformerLens would do.

A hook on one of them, a forward of its own, another module in its place: none would have an
effect there. The watch names the first such module, and TransformerLens' forward runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.nn.modules.module import _has_any_global_hook
from transformer_lens.components.attention import Attention
from transformer_lens.components.layer_norm import LayerNorm
from transformer_lens.components.mlps.mlp import MLP
from transformer_lens.components.transformer_block import TransformerBlock
from transformer_lens.hook_points import HookPoint

from irl_lens.errors import UserError
from irl_lens.hooks.core.key_values import AnnouncedForward
from irl_lens.models.base import TrajectoryModel
from irl_lens.models.transformer import transformer_config

RESIDUAL_HOOKS = ("hook_resid_pre", "hook_resid_mid", "hook_resid_post")
"""Hook points that the fast path calls."""
_COMPUTED = (HookPoint, TransformerBlock, Attention, MLP, LayerNorm)
_ADDS_HOOK_POINTS = {"use_attn_result", "use_split_qkv_input", "use_attn_in", "use_hook_mlp_in"}
_FOLLOWS_WEIGHTS = {"dtype", "device"}


def within_blocks(name: str) -> bool:
    """Whether a module of this name is computed in the fast path's blocks, and not called."""
    return name.startswith(("hooked.blocks.", "hooked.hook_")) and not name.endswith(RESIDUAL_HOOKS)


def within_last_norm(name: str) -> bool:
    """Whether a module of this name belongs to the norm before the unembedding."""
    return name.startswith("hooked.ln_final")


class Bypassed:
    """Some modules of a model, which the fast path computes by itself.

    Args:
        model: The model.
        chosen: Which of them, by name.
    """

    def __init__(self, model: TrajectoryModel, chosen: Callable[[str], bool]) -> None:
        self._model, self._chosen = model, chosen
        self._list()

    def altered(self) -> str | None:
        """Names the first that would do something else in TransformerLens' forward, if any."""
        if self._is_other_tree():
            self._list()
        if _has_any_global_hook():
            return "all modules, hooked by torch's global hooks"
        if not any(map(_is_hooked, self._states.values())):
            return self._foreign
        return next(name for name, own in self._states.items() if _is_hooked(own))

    def _is_other_tree(self) -> bool:
        """Whether a module was put in or taken out, or given an attribute, since they were listed.

        Walking the modules would take a fifth of a small decoding step.
        """
        return any(tuple(now.values()) != then for now, then in self._children) or self._sizes != [
            *map(len, self._states.values())
        ]

    def _list(self) -> None:
        modules = dict(self._model.named_modules())
        chosen = {name: module for name, module in modules.items() if self._chosen(name)}
        parents = [modules[name] for name in ("", "hooked", "hooked.blocks")]
        children = (module._modules for module in (*parents, *chosen.values()))
        self._children = [(now, tuple(now.values())) for now in children if now]
        self._states = {name: vars(module) for name, module in chosen.items()}
        self._sizes = [*map(len, self._states.values())]
        self._foreign = next((name for name, m in chosen.items() if _is_foreign(m)), None)


def refuse_other_models(model: TrajectoryModel, settings: dict[str, Any]) -> None:
    """Refuses what neither the fast path nor a part of TransformerLens' forward would honour.

    Args:
        model: The model.
        settings: Those that the fast path computes with, see :func:`settings_of`.

    Raises:
        UserError: The model as a whole is hooked, or a setting differs.
    """
    for whole, name in ((model, "model"), (model.hooked, "hooked")):
        if _is_hooked(vars(whole)) or _has_forward_of_its_own(vars(whole)):
            raise UserError(
                f"the {name} has a torch hook or a forward of its own as a whole, which only "
                "calls of it see; call the model, or hook its unembedding"
            )
    if settings.items() <= vars(model.hooked.cfg).items():
        return
    name = next(n for n in settings if getattr(model.hooked.cfg, n) != settings[n])
    raise UserError(
        f"hooked.cfg.{name} is {getattr(model.hooked.cfg, name)!r}, and the fast path computes "
        f"with {settings[name]!r}; call the model itself"
    )


def settings_of(model: TrajectoryModel) -> dict[str, Any]:
    """TransformerLens' settings that the fast path's numbers depend on, as the model was made."""
    made = vars(transformer_config(model.config, model.spec, model.action_head.outputs))
    free = _ADDS_HOOK_POINTS | _FOLLOWS_WEIGHTS
    return {name: value for name, value in made.items() if name not in free}


def _is_hooked(own: dict[str, Any]) -> bool:
    return bool(
        own["_forward_hooks"]
        or own["_forward_pre_hooks"]
        or own["_backward_hooks"]
        or own["_backward_pre_hooks"]
    )


def _has_forward_of_its_own(own: dict[str, Any]) -> bool:
    """Whether the forward was replaced; that an intervention is attached changes nothing here."""
    forward = own.get("forward")
    return (forward.before if isinstance(forward, AnnouncedForward) else forward) is not None


def _is_foreign(module: nn.Module) -> bool:
    """Whether it is of another kind than the fast path computes, or has a method of its own."""
    kind = type(module)
    return kind not in _COMPUTED or any(callable(getattr(kind, n, None)) for n in vars(module))
