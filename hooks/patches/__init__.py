"""Patches: put other values where an activation was, at chosen rows, steps and heads.

Standard tools of causal analysis at any TransformerLens hook point: activation patching,
transplants between episodes, ablation, interpolation, subspace ablation and interchange.
What is not addressed is carried on bit for bit.
"""

from .ablate import AblatePatch
from .interpolate import InterpolatePatch
from .mean import ActivationMean
from .patch import Patch
from .replace import ReplacePatch
from .subspace import SubspacePatch
from .transplant import TransplantPatch

__all__ = [
    "AblatePatch",
    "ActivationMean",
    "InterpolatePatch",
    "Patch",
    "ReplacePatch",
    "SubspacePatch",
    "TransplantPatch",
]
