"""Interventions on any TransformerLens model: controllers, gates, combinators, patches.

Everything here is an :class:`Intervention`: ``fwd_hooks()`` for ``run_with_hooks``,
``attached(model)`` as a context manager, an ``nn.Module`` for autograd and saving::

    controller = LowRankController.random(d_model, rank=16, hook_name="blocks.2.hook_resid_post")
    with Mask(controller, rows=[0], steps=range(10)).attached(model) as handle:
        logits = model(tokens)

Knows torch and TransformerLens; nothing of environments, training or plots.
"""

from .address import Address
from .bank import BankController, ControllerBank
from .combine import Mask, Scale, Sequence, Sum
from .controller import Controller
from .files import Header, load, read_header, save
from .full import FullController
from .gate import Gate, first_switch, forced, replayed, shifted, silenced, switches
from .hypernetwork import CodeController, HypernetworkDecoder
from .intervention import Handle, Intervention, find_hook_point, hook_points
from .low_rank import LowRankController
from .part import Part
from .patch import AblatePatch, InterpolatePatch, Patch, ReplacePatch, SubspacePatch
from .vector import VectorController

__all__ = [
    "AblatePatch",
    "Address",
    "BankController",
    "CodeController",
    "Controller",
    "ControllerBank",
    "FullController",
    "Gate",
    "Handle",
    "Header",
    "HypernetworkDecoder",
    "InterpolatePatch",
    "Intervention",
    "LowRankController",
    "Mask",
    "Part",
    "Patch",
    "ReplacePatch",
    "Scale",
    "Sequence",
    "SubspacePatch",
    "Sum",
    "VectorController",
    "find_hook_point",
    "first_switch",
    "forced",
    "hook_points",
    "load",
    "read_header",
    "replayed",
    "save",
    "shifted",
    "silenced",
    "switches",
]
