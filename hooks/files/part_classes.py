"""Classes of what can be saved and loaded, by the name that files have for them.

Controllers make themselves known (:mod:`irl_lens.hooks.controllers.controller`).
"""

from irl_lens.hooks.codes.hypernetwork import CodeController, HypernetworkDecoder
from irl_lens.hooks.codes.linear_decoder import LinearDecoder
from irl_lens.hooks.combinators.arithmetic import Compose, Interpolate, Scale, Sum
from irl_lens.hooks.combinators.mask import Mask
from irl_lens.hooks.combinators.project import ProjectOut
from irl_lens.hooks.combinators.sequence import Sequence
from irl_lens.hooks.combinators.together import Together
from irl_lens.hooks.controllers.bank import BankController, ControllerBank
from irl_lens.hooks.controllers.controller import controller_kinds
from irl_lens.hooks.core.part import Part
from irl_lens.hooks.patches import (
    AblatePatch,
    InterpolatePatch,
    ReplacePatch,
    SubspacePatch,
    TransplantPatch,
)

PART_CLASSES: dict[str, type[Part]] = {
    part.__name__: part
    for part in (
        *(ControllerBank, BankController, CodeController),
        *(HypernetworkDecoder, LinearDecoder),
        *(Scale, Sum, Compose, Interpolate, ProjectOut, Sequence, Mask, Together),
        *(ReplacePatch, TransplantPatch, AblatePatch, InterpolatePatch, SubspacePatch),
    )
}
"""All but the controllers. Add a :class:`Part` of your own to save it too."""


def part_classes() -> dict[str, type[Part]]:
    """Returns every class that can be saved and loaded, by name.

    Examples:
        >>> {"LowRankController", "Mask", "HypernetworkDecoder"} <= part_classes().keys()
        True
    """
    return {kind.__name__: kind for kind in controller_kinds().values()} | PART_CLASSES
