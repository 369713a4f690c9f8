"""Interventions on any TransformerLens model: controllers, gates, combinators, patches.

Everything here is an :class:`Intervention`: ``fwd_hooks()`` for ``run_with_hooks``,
``attached(model)`` as a context manager, an ``nn.Module`` for autograd and saving::

    controller = LowRankController.random(d_model, rank=16, hook_name="blocks.2.hook_resid_post")
    with Mask(controller, rows=[0], steps=range(10)).attached(model) as handle:
        logits = model(tokens)

Knows torch and TransformerLens; nothing of environments, training or plots.
"""

from .address import Address
from .attach import Handle, attach, find_hook_point, hook_points
from .bank import ControllerBank
from .bank_controller import BankController
from .combine import Compose, Interpolate, Scale, Sum
from .controller import Controller
from .decoder import Decoder
from .export import export_fwd_hooks
from .files import inspect, load, save
from .full import FullController
from .gate import Gate, first_switch, switches
from .gate_traces import circularly_shifted, forced, replayed, shifted, shuffled, silenced
from .header import Header
from .hypernetwork import CodeController, HypernetworkDecoder
from .identity import model_hash
from .intervention import Intervention
from .linear_decoder import LinearDecoder
from .low_rank import LowRankController
from .mask import Mask
from .part import Part
from .patches import (
    AblatePatch,
    ActivationMean,
    InterpolatePatch,
    Patch,
    ReplacePatch,
    SubspacePatch,
    TransplantPatch,
)
from .project import ProjectOut
from .sequence import Sequence
from .spectrum import Spectrum
from .together import Together
from .vector import VectorController

__all__ = [
    "AblatePatch",
    "ActivationMean",
    "Address",
    "BankController",
    "CodeController",
    "Compose",
    "Controller",
    "ControllerBank",
    "Decoder",
    "FullController",
    "Gate",
    "Handle",
    "Header",
    "HypernetworkDecoder",
    "Interpolate",
    "InterpolatePatch",
    "Intervention",
    "LinearDecoder",
    "LowRankController",
    "Mask",
    "Part",
    "Patch",
    "ProjectOut",
    "ReplacePatch",
    "Scale",
    "Sequence",
    "Spectrum",
    "SubspacePatch",
    "Sum",
    "Together",
    "TransplantPatch",
    "VectorController",
    "attach",
    "circularly_shifted",
    "export_fwd_hooks",
    "find_hook_point",
    "first_switch",
    "forced",
    "hook_points",
    "inspect",
    "load",
    "model_hash",
    "replayed",
    "save",
    "shifted",
    "shuffled",
    "silenced",
    "switches",
]
