"""Interventions on any TransformerLens model: controllers, gates, combinators, patches.

Everything here is an :class:`Intervention`: ``fwd_hooks()`` for ``run_with_hooks``,
``attached(model)`` as a context manager, an ``nn.Module`` for autograd and saving.

    >>> import torch
    >>> from irl_lens.hooks import LowRankController, Mask
    >>> from transformer_lens.model_bridge import TransformerBridge
    >>> sizes = {"n_layers": 3, "d_model": 16, "n_heads": 2, "d_head": 8, "d_vocab": 11}
    >>> model = TransformerBridge.boot_native({**sizes, "n_ctx": 8, "act_fn": "relu"})
    >>> tokens = torch.tensor([[1, 2, 3, 4], [5, 6, 7, 8]])
    >>> controller = LowRankController.random(16, rank=4, hook_name="blocks.1.hook_resid_post")
    >>> plain = model(tokens)
    >>> with Mask(controller, rows=[0], steps=range(2, 4)).attached(model) as handle:
    ...     steered = model(tokens)
    >>> handle.fired, (steered != plain).any(-1).tolist()
    ({'blocks.1.hook_resid_post': 1}, [[False, False, True, True], [False, False, False, False]])

Knows torch and TransformerLens; nothing of environments, training or plots.
"""

from .address import Address
from .attach import Handle, attach, find_hook_point, hook_points
from .bank import ControllerBank
from .bank_controller import BankController
from .combine import Compose, Interpolate, Scale, Sum
from .controller import Controller
from .decoder import Decoder
from .decoding import starting_at
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
    "starting_at",
    "switches",
]
