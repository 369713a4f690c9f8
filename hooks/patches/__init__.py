"""Patches: put other values where an activation was, at chosen rows, steps and heads.

Standard tools of causal analysis at any TransformerLens hook point: activation patching,
transplants between episodes, ablation, interpolation, subspace ablation and interchange.
What is not addressed is carried on bit for bit.
"""

from irl_lens.hooks.patches.ablate import AblatePatch
from irl_lens.hooks.patches.interpolate import InterpolatePatch
from irl_lens.hooks.patches.mean import ActivationMean
from irl_lens.hooks.patches.patch import Patch
from irl_lens.hooks.patches.replace import ReplacePatch
from irl_lens.hooks.patches.subspace import SubspacePatch
from irl_lens.hooks.patches.transplant import TransplantPatch

__all__ = [
    "AblatePatch",
    "ActivationMean",
    "InterpolatePatch",
    "Patch",
    "ReplacePatch",
    "SubspacePatch",
    "TransplantPatch",
]
