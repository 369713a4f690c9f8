"""TransformerLens' bridges: where one carries or computes something else than is taken for granted.

A TransformerBridge runs a Hugging Face model and gives its hook points the names of a
HookedTransformer's. Not each carries what its name says, and some are only shown. The name does
not tell, and with plain ``run_with_hooks`` nothing of ours has seen the model; so what runs is
read off the stack, and refused where an intervention would have another effect than it says.

One thing is left: with a change inside a norm, a bridge computes all of that norm by itself, and
the positions that are not addressed differ by rounding.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from irl_lens.hooks.core.address import PATTERNS, ROTATED_KEYS
from irl_lens.hooks.core.decoding import start

NORMS = ("hook_normalized", "hook_scale")


def running(attribute: str) -> FrameType | None:
    """Returns the innermost running call of a method whose object has an attribute.

    Examples:
        >>> print(running("hook_attn_scores"))
        None
    """
    frame: Any = sys._getframe(1)
    while frame is not None and not hasattr(frame.f_locals.get("self"), attribute):
        frame = frame.f_back
    return frame


def check_bridge(x: Tensor, hook_name: str) -> None:
    """Raises ValueError if a bridge runs, and `x` at its hook point is not what it seems.

    Args:
        x: tensor that the hook point carries; what runs it calls this.
        hook_name: its name.

    Examples:
        >>> check_bridge(torch.zeros(2, 5, 8), "blocks.0.hook_resid_post")
    """
    if hook_name.endswith((*PATTERNS, ROTATED_KEYS)):
        attention = running("hook_attn_scores")
        _check_shown(attention, hook_name)
        _check_new_keys(attention, hook_name)
    elif x.ndim == 4:
        _check_heads(running("hook_attn_scores"), x, hook_name)
    elif hook_name.endswith(NORMS):
        _check_norm(running("hook_normalized"), hook_name)
    elif "pos_embed" in hook_name:
        _check_positions(running("original_component"), x, hook_name)
    elif hook_name.endswith("rotary_emb.hook_in"):
        raise ValueError(
            f"{hook_name} is asked for its dtype and device alone, and changing it changes "
            "nothing; act where the stream is read, such as at hook_resid_pre"
        )


def _check_shown(attention: FrameType | None, hook_name: str) -> None:
    """Refuses patterns and scores that are read after attention has been computed."""
    if attention is not None and attention.f_code.co_qualname == "AttentionBridge.forward":
        raise ValueError(
            f"{hook_name} of this TransformerBridge is read after attention has been computed "
            "elsewhere, and changing it changes nothing; act at attn.hook_z, or on a "
            "HookedTransformer"
        )


def _check_new_keys(attention: FrameType | None, hook_name: str) -> None:
    """Refuses rotated keys in cached decoding: those of the new steps alone."""
    if not hook_name.endswith(ROTATED_KEYS) or attention is None:
        return
    if type(attention.f_locals["self"]).__name__.endswith("Bridge") and start():
        raise ValueError(
            f"{hook_name} of a TransformerBridge carries the keys of the new steps alone when it "
            "decodes with a cache, that of a HookedTransformer those of all; act at hook_k, or "
            "run whole sequences"
        )


def _check_heads(attention: FrameType | None, x: Tensor, hook_name: str) -> None:
    """Refuses what latent attention keeps by head and then step, and queries with their gates."""
    bridge = None if attention is None else attention.f_locals["self"]
    # Latent attention splits hook_z by the width of its rotated keys, not of its values.
    latent = hasattr(bridge, "hook_q_latent") and not hook_name.endswith("hook_rot_q")
    gated = getattr(getattr(bridge, "config", None), "gated_q_proj", False)
    if latent or (gated and hook_name.endswith(("hook_q", "q.hook_out"))):
        raise ValueError(
            f"{hook_name} of this TransformerBridge carries {tuple(x.shape)}, which is not [rows, "
            f"steps, heads, width]: {'its attention is latent' if latent else 'gates lie between'}"
            "; act at attn.hook_out or attn.hook_pattern"
        )


def _check_norm(norm: FrameType | None, hook_name: str) -> None:
    """Refuses a norm that is computed otherwise once a hook has changed something inside."""
    values = {} if norm is None else norm.f_locals
    bridge: Any = values.get("self")
    if isinstance(getattr(bridge, "original_component", None), nn.Identity):
        raise ValueError(f"{hook_name} is of no norm, and changing it changes nothing")
    if "x_centered" not in values:
        return
    x = values["x"]
    tolerance = max(torch.finfo(kind).eps for kind in (x.dtype, torch.float32)) ** 0.5
    with torch.no_grad():
        own = bridge.original_component(x).float()
        try:
            again = bridge._apply_weight_and_bias(values["x_centered"] * values["inv_rms"], x.dtype)
        except AttributeError:  # it has no weight
            again = torch.full_like(own, torch.inf)
    if not (again.float() - own).norm() <= tolerance * own.norm():
        raise ValueError(
            f"the model goes another way than this TransformerBridge from {hook_name} on, so any "
            "change there would change the whole norm; act at what comes out of it, "
            f"{hook_name.rsplit('.', 1)[0]}.hook_out"
        )


def _check_positions(embedding: FrameType | None, x: Tensor, hook_name: str) -> None:
    """Refuses positions that are relative, or one row that stands for all rows."""
    values = {} if embedding is None else embedding.f_locals
    if not hasattr(values.get("self"), "W_pos"):
        return
    relative = str(values["self"].name).endswith("relative_attention_bias")
    shared = x.shape[0] == 1 and values.get("batch_size") is None
    if relative or shared:
        raise ValueError(
            f"{hook_name} carries {tuple(x.shape)}, "
            + ("a bias by query and key" if relative else "one row that stands for every row")
            + ", not [rows, steps, ..]; act where it has been added, such as at hook_resid_pre"
        )
