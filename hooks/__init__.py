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

from irl_lens.hooks.codes.decoder import Decoder
from irl_lens.hooks.codes.gate import Gate, first_switch, switches
from irl_lens.hooks.codes.gate_traces import (
    circularly_shifted,
    forced,
    replayed,
    shifted,
    shuffled,
    silenced,
)
from irl_lens.hooks.codes.hypernetwork import CodeController, HypernetworkDecoder
from irl_lens.hooks.codes.linear_decoder import LinearDecoder
from irl_lens.hooks.combinators.arithmetic import Compose, Interpolate, Scale, Sum
from irl_lens.hooks.combinators.mask import Mask
from irl_lens.hooks.combinators.project import ProjectOut
from irl_lens.hooks.combinators.sequence import Sequence
from irl_lens.hooks.combinators.together import Together
from irl_lens.hooks.controllers.bank import BankController, ControllerBank
from irl_lens.hooks.controllers.controller import (
    Controller,
    controller_kind,
    controller_kinds,
)
from irl_lens.hooks.controllers.full import FullController
from irl_lens.hooks.controllers.low_rank import LowRankController
from irl_lens.hooks.controllers.vector import VectorController
from irl_lens.hooks.core.address import Address
from irl_lens.hooks.core.attach import Handle, attach, find_hook_point, hook_points
from irl_lens.hooks.core.decoding import starting_at
from irl_lens.hooks.core.intervention import Intervention
from irl_lens.hooks.core.part import Part
from irl_lens.hooks.core.spectrum import Spectrum
from irl_lens.hooks.files.export import export_fwd_hooks
from irl_lens.hooks.files.header import Header
from irl_lens.hooks.files.model_hash import model_hash
from irl_lens.hooks.files.save_load import inspect, load, save
from irl_lens.hooks.patches import (
    AblatePatch,
    ActivationMean,
    InterpolatePatch,
    Patch,
    ReplacePatch,
    SubspacePatch,
    TransplantPatch,
)

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
    "controller_kind",
    "controller_kinds",
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
